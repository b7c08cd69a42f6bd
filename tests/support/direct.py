"""What stored activations are compared with: images and tolerances, without this library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fexp_store import Warehouse


def direct_inputs(wh: Warehouse, manifest: Path, size: int) -> torch.Tensor:
    """The images as a network gets them, by Pillow and numpy alone."""
    rows = wh.frame("FROM stimuli ORDER BY stimulus_id")
    pixels = []
    for file in rows["file"]:
        image = Image.open(manifest.parent / file).convert("RGB")
        resized = image.resize((size, size), Image.Resampling.BILINEAR)
        pixels.append(np.asarray(resized, np.float32).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(pixels))


def assert_close(stored: NDArray[np.float32], direct: NDArray[np.float32], layer: str) -> None:
    """To 1e-5, relative to each layer's own scale: single activations near 0 have none."""
    scale = float(np.abs(direct).max())
    assert scale > 0, layer
    np.testing.assert_allclose(stored, direct, rtol=1e-5, atol=1e-5 * scale, err_msg=layer)

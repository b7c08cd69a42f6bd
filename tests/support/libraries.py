"""Photographs of three sizes, and what a library's own model puts out for them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

SIZES = ((562, 762), (681, 1024), (506, 650))


def write_sizes(folder: Path) -> Path:
    """Write a photograph of each size, of coarse colours and noise; return the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = [("path", "identity", "expression")]
    for number, (width, height) in enumerate(SIZES):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32)
        pixels = smooth + rng.normal(0, 15, smooth.shape)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        image.save(folder / f"{number}.png", compress_level=1)
        rows.append((f"{number}.png", f"p{number}", "neutral"))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "manifest.csv"


def images_of(manifest: Path) -> list[Image.Image]:
    """Return the photographs in their order."""
    return [Image.open(path).convert("RGB") for path in sorted(manifest.parent.glob("*.png"))]


def outputs(
    model: torch.nn.Module,
    layers: Sequence[str],
    transform: Callable[[Image.Image], torch.Tensor],
    manifest: Path,
) -> dict[str, NDArray[np.float32]]:
    """Return what layers put out, as (images, units), by layer."""
    found: dict[str, NDArray[np.float32]] = {}
    handles = [
        model.get_submodule(layer).register_forward_hook(
            lambda _m, _i, out, layer=layer: found.update({layer: out.flatten(1).numpy().copy()})
        )
        for layer in layers
    ]
    with torch.inference_mode():
        model(torch.stack([transform(image) for image in images_of(manifest)]))
    for handle in handles:
        handle.remove()
    return found

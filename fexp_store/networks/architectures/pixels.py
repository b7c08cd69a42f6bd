"""The image itself as a network without weights: what every analysis of a network has as floor."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.architecture import Architecture
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.weights.fitting import FromFile

PREPROCESSING = Preprocessing(
    size=64, resize=64, mean=(0.0,), std=(1.0,), channels="grey", standardise=True
)
"""64 x 64 grey, each image less its own mean and over its own SD, so that neither brightness nor
contrast counts. The side is our choice: 4096 units."""


class Pixels(nn.Module):
    """Puts out its input."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input.

        Parameters
        ----------
        x : tensor of shape (n_images, 1, side, side), float32

        Returns
        -------
        tensor of the same shape
        """
        values: torch.Tensor = self.pixels(x)
        return values


def _read(path: Path, module: nn.Module, *, channels: str, size: int) -> FromFile:
    raise BadInput(f"The network pixels has no weights; add it without {path.name}.")


PIXELS = Architecture(
    name="pixels",
    build=Pixels,
    layers={"pixels": "pixels"},
    preprocessing=PREPROCESSING,
    training="none",
    read_weights=_read,
)

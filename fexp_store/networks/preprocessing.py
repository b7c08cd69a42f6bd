"""How an image becomes a network's input: a record that is stored and part of identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fexp_store.errors import BadInput, Damaged

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_LARGEST = 4096  # pixels of a side


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop and normalise, in the units of 8-bit pixels.

    Parameters
    ----------
    size : int
        Side of the square input in pixels.
    resize : int
        The shorter side of the image is resized to this many pixels before the centre crop to
        `size`; equal to `size` where nothing is cropped off a square image.
    mean, std : tuple of 3 floats
        Per channel R, G, B, on the 0–255 scale: the input is ``(pixel - mean) / std``.
    interpolation : {"bilinear", "bicubic", "lanczos"}
        Pillow's antialiased filter.
    """

    size: int
    resize: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"

    def to_json(self) -> str:
        """Return the record as canonical JSON (sorted keys), the form that is stored and hashed."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Preprocessing:
        """Read what `to_json` wrote; Damaged if it is something else."""
        try:
            return cls._of(json.loads(text))
        except (RecursionError, TypeError, ValueError, KeyError) as error:
            raise Damaged(
                f"What is stored of a preprocessing cannot be read ({error}); "
                "restore the table networks from a copy."
            ) from None

    @classmethod
    def _of(cls, record: dict[str, Any]) -> Preprocessing:
        made = cls(**record | {name: tuple(record[name]) for name in ("mean", "std")})
        made._check()
        return made

    def changed(self, fields: Mapping[str, Any]) -> Preprocessing:
        """Return a copy with some fields changed; a new `size` is also the new `resize`.

        Raises
        ------
        BadInput
            If a field is unknown or its value is not of its kind.
        """
        unknown = set(fields) - set(asdict(self))
        if unknown:
            raise BadInput(
                f"Preprocessing has no field {min(unknown)!r}; "
                f"its fields: {', '.join(asdict(self))}."
            )
        if "size" in fields and "resize" not in fields:
            fields = {**fields, "resize": fields["size"]}
        try:
            return self._of(asdict(self) | dict(fields))
        except (TypeError, ValueError) as error:
            raise BadInput(f"The preprocessing cannot be used: {error}.") from None

    def _check(self) -> None:
        whole = type(self.size) is type(self.resize) is int
        if not whole or not 0 < self.size <= self.resize <= _LARGEST:
            raise ValueError(
                f"size and resize are whole pixels up to {_LARGEST}, size at most resize"
            )
        values = (*self.mean, *self.std)
        numbers = all(type(x) in (int, float) and abs(x) < 1e6 for x in values)
        if not numbers or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("mean and std are three numbers each below a million, std above 0")
        if self.interpolation not in _FILTERS:
            raise ValueError(f"interpolation is one of {', '.join(_FILTERS)}")

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop one image.

        Returns
        -------
        ndarray of shape (3, size, size), uint8
            RGB; a greyscale image has three equal channels.
        """
        rgb = image.convert("RGB")
        shorter = min(rgb.size)
        if shorter != self.resize:
            width, height = (
                max(self.size, round(side * self.resize / shorter)) for side in rgb.size
            )
            rgb = rgb.resize((width, height), _FILTERS[self.interpolation])
        left, top = ((side - self.size) // 2 for side in rgb.size)
        rgb = rgb.crop((left, top, left + self.size, top + self.size))
        return np.ascontiguousarray(np.asarray(rgb, dtype=np.uint8).transpose(2, 0, 1))

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn pixels into the network's input, on whatever device they are.

        Parameters
        ----------
        pixels : tensor of shape (n_images, 3, size, size), uint8

        Returns
        -------
        tensor of the same shape, float32
        """
        shape = (1, 3, 1, 1)
        mean = torch.tensor(self.mean, device=pixels.device).reshape(shape)
        std = torch.tensor(self.std, device=pixels.device).reshape(shape)
        return pixels.float().sub_(mean).div_(std)

"""How an image becomes a network's input: a record that is stored and part of identity."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fexp_store.errors import BadInput, Damaged
from fexp_store.networks import geometry

CHANNELS = ("RGB", "BGR", "grey")
FITS = ("shorter", "squash")

_LATER = ("by", "channels", "fit", "standardise")  # fields that older records do not have
_LARGEST = 4096  # pixels of a side


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop and normalise, in the units of 8-bit pixels.

    What images of other kinds become first: RGB by Pillow (a palette is looked up, transparency is
    dropped, greyscale gives three equal channels).

    Parameters
    ----------
    size : int
        Side of the square input in pixels, cut from the centre of the resized image.
    resize : int
        The shorter side of the image is resized to this many pixels before the centre crop to
        `size`, or with `fit` both sides; equal to `size` where nothing is cropped off a square
        image.
    mean, std : tuple of floats
        On the 0–255 scale, one for each channel in the order that is fed (B, G, R with
        `channels` BGR; one for grey): the input is ``(pixel - mean) / std``.
    interpolation : {"bilinear", "bicubic", "lanczos", "nearest", "box", "hamming"}
        Pillow's filter, antialiased but for nearest.
    channels : {"RGB", "BGR", "grey"}
        What is fed, in its order; grey is one channel, ITU-R 601 luma of the cropped image.
    fit : {"shorter", "squash"}
        Whether the shorter side is resized and the shape kept, or both sides are.
    standardise : bool
        Each image's input, all channels together, less its own mean and over its own SD (over n);
        an image of one value gives zeros.
    by : "torchvision" or None
        Whose geometry: torchvision's resize and centre crop of a Pillow image, as
        ``weights.transforms()`` has them. None only in records of older warehouses, whose longer
        side is rounded and whose crop starts at the lower half.
    """

    size: int
    resize: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    channels: str = "RGB"
    fit: str = "shorter"
    standardise: bool = False
    by: str | None = "torchvision"

    @classmethod
    def of_torchvision(cls, transforms: Any) -> Preprocessing:
        """Declare torchvision's own transforms of some weights, ``weights.transforms()``.

        Raises
        ------
        BadInput
            If they are not those of image classification.
        """
        try:
            return cls._of(
                {
                    "size": int(transforms.crop_size[0]),
                    "resize": int(transforms.resize_size[0]),
                    "mean": [255 * value for value in transforms.mean],
                    "std": [255 * value for value in transforms.std],
                    "interpolation": transforms.interpolation.value,
                    "by": "torchvision",
                }
            )
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise BadInput(f"These transforms cannot be declared: {error}.") from None

    @classmethod
    def of_timm(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Declare what timm does at evaluation with a model's data config.

        Parameters
        ----------
        config : mapping
            Of ``timm.data.resolve_model_data_config``: input_size, interpolation, mean, std,
            crop_pct, crop_mode. As in ``timm.data.create_transform``, sides are resized to
            ``floor(size / crop_pct)``.

        Raises
        ------
        BadInput
            If it says what has no field here: an input that is not square or not RGB, a border
            (crop_mode border, crop_border_pixels), interpolation at random.
        """
        try:
            colours, height, width = config["input_size"]
            if colours != 3 or height != width:
                raise ValueError(f"the input is {colours} x {height} x {width}, not 3 x n x n")
            mode = config.get("crop_mode") or "center"
            if mode not in ("center", "squash") or config.get("crop_border_pixels"):
                raise ValueError(f"images get a border (crop_mode {mode})")
            return cls._of(
                {
                    "size": height,
                    "resize": math.floor(height / (config.get("crop_pct") or 0.875)),
                    "mean": [255 * value for value in config["mean"]],
                    "std": [255 * value for value in config["std"]],
                    "interpolation": config["interpolation"],
                    "fit": "squash" if mode == "squash" else "shorter",
                    "by": "torchvision",
                }
            )
        except (LookupError, TypeError, ValueError) as error:
            raise BadInput(f"timm's data config cannot be declared: {error}.") from None

    def to_json(self) -> str:
        """Return the record as canonical JSON (sorted keys), the form that is stored and hashed.

        A record of an older warehouse gives the text that is stored there.
        """
        record = asdict(self)
        if self.by is None:
            record = {name: record[name] for name in record if name not in _LATER}
        return json.dumps(record, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Preprocessing:
        """Read what `to_json` wrote; Damaged if it is something else."""
        try:
            record = json.loads(text)
            if record.get("by") is None and not record.keys().isdisjoint(_LATER):
                raise ValueError("it does not say who resizes images")
            return cls._of({"by": None} | record)
        except (RecursionError, AttributeError, TypeError, ValueError, KeyError) as error:
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
        """Return a copy with some fields changed.

        A new `size` is also the new `resize`; with the other order of colours, a `mean` or `std`
        that is not given is turned round too.

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
        if (self.channels, fields.get("channels")) in (("RGB", "BGR"), ("BGR", "RGB")):
            fields = {"mean": self.mean[::-1], "std": self.std[::-1], **fields}
        try:
            if fields.get("by", "torchvision") != "torchvision":
                raise ValueError("by is torchvision")
            return self._of(asdict(self) | dict(fields))
        except (TypeError, ValueError) as error:
            raise BadInput(f"The preprocessing cannot be used: {error}.") from None

    def as_stored(self, text: str) -> Preprocessing:
        """Return what is stored if it is this record but for who resizes, else this one.

        A network of an older warehouse that is registered again stays what it is.
        """
        older = replace(self, by=None)
        alike = replace(older, channels="RGB", fit="shorter", standardise=False) == older
        return older if alike and text == older.to_json() else self

    def _check(self) -> None:
        whole = type(self.size) is type(self.resize) is int
        if not whole or not 0 < self.size <= self.resize <= _LARGEST:
            raise ValueError(
                f"size and resize are whole pixels up to {_LARGEST}, size at most resize"
            )
        choices = {"interpolation": tuple(geometry.FILTERS), "channels": CHANNELS, "fit": FITS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}")
        if type(self.standardise) is not bool or self.by not in ("torchvision", None):
            raise ValueError("standardise is true or false, and by is torchvision")
        values = (*self.mean, *self.std)
        numbers = all(type(x) in (int, float) and abs(x) < 1e6 for x in values)
        n, said = (1, "one number") if self.channels == "grey" else (3, "three numbers")
        if not numbers or len(self.mean) != n or len(self.std) != n or min(self.std) <= 0:
            raise ValueError(f"mean and std are {said} each below a million, std above 0")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the input for one image: channels, rows, columns."""
        return (1 if self.channels == "grey" else 3, self.size, self.size)

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop one image.

        Returns
        -------
        ndarray of shape `shape`, uint8
            A greyscale image has three equal channels, or one.
        """
        fit: Callable[..., Image.Image] = geometry.older if self.by is None else geometry.cropped
        square = fit(
            image.convert("RGB"),
            self.size,
            (self.resize, self.resize) if self.fit == "squash" else (self.resize,),
            self.interpolation,
        )
        if self.channels == "grey":
            return geometry.grey(square)[None]
        channels = np.asarray(square, dtype=np.uint8).transpose(2, 0, 1)
        return np.ascontiguousarray(channels[::-1] if self.channels == "BGR" else channels)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn pixels into the network's input, on whatever device they are.

        Parameters
        ----------
        pixels : tensor of shape (n_images, *shape), uint8

        Returns
        -------
        tensor of the same shape, float32
        """
        shape = (1, len(self.mean), 1, 1)
        mean = torch.tensor(self.mean, device=pixels.device).reshape(shape)
        std = torch.tensor(self.std, device=pixels.device).reshape(shape)
        x = pixels.float().sub_(mean).div_(std)
        if self.standardise:
            x.sub_(x.mean(dim=(1, 2, 3), keepdim=True))
            deviation = x.square().mean(dim=(1, 2, 3), keepdim=True).sqrt_()
            x.div_(deviation.masked_fill_(deviation == 0, 1))
        return x

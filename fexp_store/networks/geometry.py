"""Resizing and cropping of images: torchvision's own, and that of older warehouses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
"""Name, as torchvision and timm have it, -> Pillow's filter."""


def cropped(image: Image.Image, size: int, resize: Sequence[int], filter_: str) -> Image.Image:
    """Resize an image and cut out its centre, as ``torchvision.transforms`` do.

    Parameters
    ----------
    image : PIL.Image.Image
    size : int
        Side of what is cut out.
    resize : sequence of int
        Of the shorter side, or of rows and columns.
    filter_ : str
        One of `FILTERS`.
    """
    # Long to import, and there already where networks are run.
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    resized = functional.resize(image, list(resize), InterpolationMode(filter_))
    return functional.center_crop(resized, [size, size])


def older(image: Image.Image, size: int, resize: Sequence[int], filter_: str) -> Image.Image:
    """Do the same as this store did before it left it to torchvision.

    The longer side is rounded where torchvision cuts it off, and an odd pixel stays below and on
    the right of the centre, where torchvision leaves it on the even side.
    """
    shorter = min(image.size)
    if shorter != resize[0]:
        width, height = (max(size, round(side * resize[0] / shorter)) for side in image.size)
        image = image.resize((width, height), FILTERS[filter_])
    left, top = ((side - size) // 2 for side in image.size)
    return image.crop((left, top, left + size, top + size))


def grey(image: Image.Image) -> NDArray[np.uint8]:
    """Return ITU-R 601 luma of an RGB image, rows x columns, as ``rgb_to_grayscale`` has it."""
    from torchvision.transforms.v2 import functional

    return np.array(functional.rgb_to_grayscale(image), dtype=np.uint8)

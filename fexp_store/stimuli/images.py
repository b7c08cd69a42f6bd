"""Image files: checked and hashed when they are registered, checked again when they are read."""

from __future__ import annotations

import io
import struct
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fexp_store.errors import BadInput, NotFound
from fexp_store.given import read_bytes
from fexp_store.warehouse.sets import ROOTS as ROOTS
from fexp_store.warehouse.sets import kept_path
from fexp_store.warehouse.storage import Storage, inside

MAX_PIXELS = 100_000_000
"""Images with more pixels than this are refused before they are decoded (a decompression bomb)."""

MAX_BYTES = 400 << 20
"""Files with more bytes are no image of `MAX_PIXELS`, even without compression."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
"""What is decoded. Pillow knows more kinds, and starts other programs for some (PostScript)."""

MIN_SIDE = 16
"""Images with fewer rows or columns are refused: no face can be seen in them."""

MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
"""Pillow's names of the pixel formats that become RGB without a choice of colour space."""


def decode(content: bytes, name: str) -> Image.Image:
    """Decode an image whole.

    Raises
    ------
    BadInput
        If it is no image, is truncated, has more than `MAX_PIXELS` pixels or fewer than `MIN_SIDE`
        rows or columns.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limits decide, before a pixel is decoded
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            _check_size(image, name)
            image.load()
    except Image.DecompressionBombError:
        raise BadInput(f"{name} claims more pixels than are decoded safely.") from None
    except UnidentifiedImageError:
        reason = "is empty" if not content else "is no image of a kind that is known here"
        raise BadInput(f"{name} {reason}.") from None
    except _UNDECODABLE as error:
        reason = "is empty" if not content else f"is no image that can be decoded ({error})"
        raise BadInput(f"{name} {reason}.") from None
    return image


# What Pillow's readers raise at files that are damaged or forged.
_UNDECODABLE = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadInput(f"{name} claims {width} x {height} pixels, more than are decoded safely.")
    if min(width, height) < MIN_SIDE:
        raise BadInput(f"{name} has only {width} x {height} pixels.")


def check_picture(image: Image.Image, name: str) -> None:
    """Refuse an image that is neither RGB nor greyscale of 8 bits."""
    if image.mode not in MODES:
        raise BadInput(
            f"{name} has pixels of the kind {image.mode}; convert it to 8-bit RGB or greyscale."
        )


def png_of(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="png")
    return buffer.getvalue()


def read(path: Path) -> bytes:
    """Read an image file whole; BadInput names the file if that is not possible."""
    return read_bytes(path, "The image", MAX_BYTES)


def keep(storage: Storage, content: bytes) -> str:
    """Store an image in the warehouse's ``images/`` under its hash, and return the hash."""
    digest = sha256(content).hexdigest()
    if not storage.exists(kept_path(digest)):
        storage.write(kept_path(digest), content)
    return digest


def roots(storage: Storage) -> dict[str, str]:
    """Return the image root of each stimulus set that has one on this machine."""
    return storage.read_local(ROOTS)


def read_registered(
    storage: Storage, stimulus: dict[str, Any], image_roots: dict[str, str]
) -> bytes:
    """Read a stimulus image and check that it is the one that was registered.

    Parameters
    ----------
    stimulus : dict
        A row of the view ``stimuli``.
    image_roots : dict
        What `roots` returned.

    Raises
    ------
    BadInput
        If the file cannot be read or its content has changed.
    NotFound
        If it is missing, or this machine does not know where the set's images are.
    """
    wanted, name = stimulus["image_sha256"], stimulus["stimulus_set"]
    if storage.exists(kept_path(wanted)):
        place, content = storage.uri(kept_path(wanted)), storage.read(kept_path(wanted))
    elif stimulus["file"] is None or name not in image_roots:
        raise NotFound(
            f"This machine does not know where the images of {name} are; {_ADD_AGAIN.format(name)}"
        )
    else:
        path = inside(Path(image_roots[name]), stimulus["file"])
        place, content = str(path), _read_where_it_was(path, name)
    if sha256(content).hexdigest() != wanted:
        raise BadInput(
            f"The image {place} has changed since {name} was registered; "
            "restore it, or register the changed images as a new set."
        )
    return content


_ADD_AGAIN = "register the same set again from its images: fexp stimuli add {} MANIFEST.csv"


def _read_where_it_was(path: Path, name: str) -> bytes:
    try:
        return read(path)
    except BadInput:
        if path.exists():
            raise
        raise NotFound(
            f"The image {path} does not exist any more; restore it, or {_ADD_AGAIN.format(name)}"
        ) from None


def pixels(
    storage: Storage, stimulus: dict[str, Any], image_roots: dict[str, str]
) -> NDArray[np.uint8]:
    """Read a stimulus image as `read_registered` does: RGB, of shape (height, width, 3)."""
    content = read_registered(storage, stimulus, image_roots)
    name = stimulus["file"] or f"stimulus {stimulus['stimulus_id']}"
    return np.asarray(decode(content, name).convert("RGB"))

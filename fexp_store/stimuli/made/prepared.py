"""Preparing photographs as in the study: eyes in one place, greyscale, an oval mask on black."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.faces.oval import oval
from fexp_store.progress import Started, silent
from fexp_store.stimuli import images
from fexp_store.stimuli.landmarks import store as landmark_store
from fexp_store.stimuli.landmarks.store import EYES
from fexp_store.stimuli.made import warp
from fexp_store.stimuli.made.rendered import ATTRIBUTE, Rendered
from fexp_store.stimuli.made.workers import png, spread
from fexp_store.stimuli.sets import made_before, read_set, register
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.names import check_name
from fexp_store.warehouse.storage import Storage

Points = NDArray[np.float64]

EYES_AT = np.array([[0.335, 0.365], [0.665, 0.365]])
"""Where the middles of the eyes go, as shares of the side: where rendered faces have them."""

LUMA = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue, ITU-R BT.601."""


@dataclass(frozen=True)
class Preparation:
    """What is done to each image.

    Attributes
    ----------
    greyscale, oval_mask : bool
    align_eyes : bool
        Turn, scale and shift the image so that the eyes are at `EYES_AT`; else the middle square
        is scaled to the size.
    size : int
        Side of the prepared image, pixels.
    """

    greyscale: bool = False
    oval_mask: bool = False
    align_eyes: bool = False
    size: int = 224

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 2048:
            raise BadInput(f"The size of an image must be 16 to 2048 pixels: got {self.size}")

    def __str__(self) -> str:
        parts = [f"{self.size} pixels"]
        parts += ["greyscale"] * self.greyscale + ["oval mask"] * self.oval_mask
        return ", ".join(parts + ["eyes aligned"] * self.align_eyes)


def prepare_set(
    wh: Warehouse,
    source_set: str,
    name: str,
    preparation: Preparation,
    *,
    landmarks: Path | None = None,
    started: Started = silent,
) -> int:
    """Derive images from those of a set, and register them as a new one.

    The attributes ``from_set`` and ``from_sha256`` of each image say which image it was made of.
    Where the images have landmarks, so have the new ones.

    Parameters
    ----------
    source_set, name : str
        The set to derive from, and the new set.
    preparation : Preparation
    landmarks : Path, optional
        CSV file or directory of ``.tem`` files; by default the warehouse's landmarks.
    started : callable, optional
        Called with the number of images; returns a function called with the number made.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    BadInput
        If the eyes are to be aligned and landmarks are missing, or an image cannot be read.
    Conflict
        If the name is taken by another set.
    """
    check_name("stimulus set", name)
    rows = read_set(wh, source_set)
    source = f"prepared from {source_set} (set {rows['set_sha256'][0]}): {preparation}"
    if made_before(wh, name, source, rows.height):
        return rows.height
    needed = preparation.align_eyes or landmarks is not None
    points = landmark_store.landmarks_of(wh, rows, landmarks) if needed else {}
    listed = rows.drop("stimulus_set", "set_sha256").to_dicts()
    tasks = [
        (row | {"stimulus_set": source_set}, points.get(row["image_sha256"])) for row in listed
    ]
    advance = started(rows.height)
    prepare = partial(_prepare, wh.storage, images.roots(wh.storage), preparation)
    prepared: list[dict[str, Any]] = []
    moved: dict[str, Points] = {}
    for row, (picture, marks) in zip(listed, spread(prepare, tasks), strict=True):
        digest = images.keep(wh.storage, picture)
        if len(marks):
            moved[digest] = marks
        origin = {"from_set": source_set, "from_sha256": row["image_sha256"]}
        kept = {k: v for k, v in (row["attributes"] or {}).items() if k != ATTRIBUTE}
        changed = {"image_sha256": digest, "file": None, "source": source}
        prepared.append(row | changed | {"attributes": kept | origin})
        advance(1)
    landmark_store.store(wh, moved)
    register(wh, name, prepared)
    return rows.height


def prepare_picture(
    picture: NDArray[np.uint8], points: Points | None, preparation: Preparation
) -> tuple[NDArray[np.uint8], Points]:
    """Prepare one image.

    Parameters
    ----------
    picture : uint8 array of shape (height, width, 3)
    points : float64 array of shape (points, 2), or None
        Landmarks, which alignment needs.
    preparation : Preparation

    Returns
    -------
    image : uint8 array of shape (size, size, 3)
    landmarks : float64 array of shape (points, 2)
        None of them if `points` is None.
    """
    side = preparation.size
    if preparation.align_eyes:
        assert points is not None
        matrix, shift = _onto_eyes(points, side)
    else:
        matrix, shift = _middle_square(picture.shape[1], picture.shape[0], side)
    made = warp.similarity(picture, matrix, shift, side).astype(np.float64)
    if preparation.greyscale:
        made = np.repeat((made @ LUMA)[..., None], 3, axis=2)
    if preparation.oval_mask:
        made = made * oval(side)
    marks = np.empty((0, 2)) if points is None else points @ matrix.T + shift
    return np.round(made).astype(np.uint8), marks


def _prepare(
    storage: Storage,
    roots: dict[str, str],
    preparation: Preparation,
    task: tuple[dict[str, Any], Points | None],
) -> Rendered:
    row, points = task
    content = images.read_registered(storage, row, roots)
    picture = np.asarray(images.decode(content, row["file"] or "image").convert("RGB"))
    made, marks = prepare_picture(picture, points, preparation)
    return png(made), marks


def _onto_eyes(points: Points, side: int) -> tuple[Points, Points]:
    """Turn, scale and shift so that the eyes fall on `EYES_AT`."""
    eyes = np.array([points[list(eye)].mean(axis=0) for eye in EYES[len(points)]])
    goal = EYES_AT * side - 0.5
    # As complex numbers, a turn with a scale is one factor.
    here, there = complex(*(eyes[1] - eyes[0])), complex(*(goal[1] - goal[0]))
    if here == 0:
        raise BadInput("The landmarks of both eyes are in one place; check them.")
    factor = there / here
    matrix = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return matrix, goal[0] - matrix @ eyes[0]


def _middle_square(width: int, height: int, side: int) -> tuple[Points, Points]:
    scale = side / min(width, height)
    middle = np.array([width - 1, height - 1]) / 2
    return np.eye(2) * scale, np.full(2, (side - 1) / 2) - scale * middle

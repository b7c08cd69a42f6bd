"""Preparing photographs as in the study: eyes in one place, greyscale, an oval mask on black."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fexp_store.errors import BadInput
from fexp_store.faces.oval import oval
from fexp_store.progress import Started
from fexp_store.stimuli import images
from fexp_store.stimuli.landmarks import store
from fexp_store.stimuli.made import warp
from fexp_store.stimuli.made.rendered import ATTRIBUTE, Rendered
from fexp_store.stimuli.made.workers import spread
from fexp_store.stimuli.recipe import Preparation
from fexp_store.stimuli.sets import own, read_set
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.storage import Storage

Points = NDArray[np.float64]

EYES_AT = np.array([[0.335, 0.365], [0.665, 0.365]])
"""Where the middles of the eyes go, as shares of the side: where rendered faces have them."""

LUMA = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue, ITU-R BT.601."""


def prepare(wh: Warehouse, recipe: Preparation, started: Started) -> list[dict[str, Any]]:
    """Derive images from those of a set; return the rows of the new one.

    The attributes ``from_set`` and ``from_sha256`` of each image say which image it was made of.
    Where the images have landmarks, so have the new ones.

    Raises
    ------
    BadInput
        If the eyes are to be aligned and landmarks are missing, or an image cannot be read.
    """
    rows = read_set(wh, recipe.of)
    needed = recipe.align is not None or recipe.landmarks is not None
    points = store.landmarks_of(wh, rows, recipe.landmarks) if needed else {}
    source = f"prepared from {recipe.of} (set {rows['set_sha256'][0]}): {_words(recipe)}"
    listed = rows.to_dicts()
    tasks = [(row, points.get(row["image_sha256"])) for row in listed]
    advance = started(rows.height)
    work = partial(_prepare, wh.storage, images.roots(wh.storage), recipe)
    prepared: list[dict[str, Any]] = []
    moved: dict[str, Points] = {}
    with spread(work, tasks) as done:
        for row, (picture, marks) in zip(listed, done, strict=True):
            digest = images.keep(wh.storage, picture)
            if len(marks):
                moved[digest] = marks
            origin = {"from_set": recipe.of, "from_sha256": row["image_sha256"]}
            kept = {k: v for k, v in (row["attributes"] or {}).items() if k != ATTRIBUTE}
            changed = {"image_sha256": digest, "file": None, "source": source}
            prepared.append(own(row) | changed | {"attributes": kept | origin})
            advance(1)
    store.store(wh, moved)
    return prepared


def _words(recipe: Preparation) -> str:
    parts = [f"{recipe.size} pixels"]
    parts += ["greyscale"] * recipe.greyscale + ["oval mask"] * recipe.oval_mask
    return ", ".join(parts + [f"{recipe.align} aligned"] * (recipe.align is not None))


def prepare_picture(
    picture: NDArray[np.uint8], points: Points | None, recipe: Preparation
) -> tuple[NDArray[np.uint8], Points]:
    """Prepare one image.

    Parameters
    ----------
    picture : uint8 array of shape (height, width, 3)
    points : float64 array of shape (points, 2), or None
        Landmarks, which alignment needs.
    recipe : Preparation

    Returns
    -------
    image : uint8 array of shape (size, size, 3)
    landmarks : float64 array of shape (points, 2)
        None of them if `points` is None.
    """
    side = recipe.size
    if recipe.align is not None:
        assert points is not None
        matrix, shift = _onto_eyes(points, side)
    else:
        matrix, shift = _middle_square(picture.shape[1], picture.shape[0], side)
    made = warp.similarity(picture, matrix, shift, side).astype(np.float64)
    if recipe.greyscale:
        made = np.repeat((made @ LUMA)[..., None], 3, axis=2)
    if recipe.oval_mask:
        made = made * oval(side)
    marks = np.empty((0, 2)) if points is None else points @ matrix.T + shift
    return np.round(made).astype(np.uint8), marks


def _prepare(
    storage: Storage,
    roots: dict[str, str],
    recipe: Preparation,
    task: tuple[dict[str, Any], Points | None],
) -> Rendered:
    row, points = task
    made, marks = prepare_picture(images.pixels(storage, row, roots), points, recipe)
    return images.png_of(Image.fromarray(made)), marks


def _onto_eyes(points: Points, side: int) -> tuple[Points, Points]:
    """Turn, scale and shift so that the eyes fall on `EYES_AT`."""
    eyes = np.array([points[list(eye)].mean(axis=0) for eye in store.EYES[len(points)]])
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

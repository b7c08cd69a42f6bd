"""Simulated responses in a warehouse, through the door for activations made elsewhere."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fexp_store import Warehouse
from fexp_store.expressions import BASIC
from fexp_store.stimuli.sets import register
from fexp_store.warehouse.place import Place

PLACE = Place("simulated", "output", "faces")


def names_of(people: int) -> list[str]:
    """Return the names of some people."""
    return [f"p{i:03}" for i in range(people)]


def register_faces(wh: Warehouse, people: int, name: str = PLACE.stimulus_set) -> None:
    """Register a set of one image per person and basic expression, without the images."""
    empty = dict.fromkeys(("file", "morph_from", "morph_to", "morph_level"))
    cells = [(who, expression) for who in names_of(people) for expression in BASIC]
    rows = [
        empty
        | {
            "stimulus_id": i,
            "image_sha256": sha256(f"{name} {i}".encode()).hexdigest(),
            "identity": who,
            "expression": expression,
            "source": "simulated",
            "attributes": {},
        }
        for i, (who, expression) in enumerate(cells)
    ]
    register(wh, name, rows)


def stored(directory: Path, people: int, values: NDArray[np.floating]) -> Warehouse:
    """Make a warehouse with responses of shape (people * 6, n_units), expressions in order."""
    wh = Warehouse.create(directory)
    register_faces(wh, people)
    wh.put(*PLACE, values)
    return wh

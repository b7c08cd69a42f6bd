"""Stimulus sets without images and activations with a structure that is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store import Warehouse
from fexp_store.expressions import BASIC
from fexp_store.stimuli.sets import register
from fexp_store.warehouse import tables
from fexp_store.warehouse.activations.commit import commit
from fexp_store.warehouse.place import Place
from support.writing import write_fragment

Values = NDArray[np.floating]


def prototype_rows(people: Sequence[str]) -> list[dict[str, Any]]:
    """One row per identity and basic expression."""
    return [_row(who, expression=e) for who in people for e in BASIC]


def morph_rows(
    people: Sequence[str], continua: Sequence[tuple[str, str]], levels: Sequence[float]
) -> list[dict[str, Any]]:
    """One row per continuum, identity and level."""
    return [
        _row(who, morph_from=a, morph_to=b, morph_level=float(level))
        for a, b in continua
        for who in people
        for level in levels
    ]


def register_rows(wh: Warehouse, name: str, rows: list[dict[str, Any]]) -> None:
    numbered = [
        row | {"stimulus_id": i, "image_sha256": sha256(f"{name} {i}".encode()).hexdigest()}
        for i, row in enumerate(rows)
    ]
    register(wh, name, numbered)


def plant(
    wh: Warehouse, network: str, stimulus_set: str, values: Values, layer: str = "planted"
) -> None:
    """Store values of shape (n_stimuli, n_units) as a layer of a network."""
    here = Place(network, layer, stimulus_set)
    commit(wh.storage, [write_fragment(wh, values.astype(np.float32), 0, here)])


def add_network(
    wh: Warehouse,
    name: str,
    units: int,
    group: str | None = None,
    layers: Sequence[str] = ("planted",),
) -> None:
    """Register a network that has layers of some units, and no weights."""
    shapes = [{"name": layer, "shape": [units], "dtype": "float32"} for layer in layers]
    row = {
        "network": name,
        "network_group": group or name,
        "architecture": "planted",
        "training": "none",
        "weights_source": "none",
        "weights_sha256": name,
        "seed": None,
        "preprocessing": "{}",
        "layers": json.dumps(shapes),
        "created": np.datetime64("2026-01-01T00:00:00", "us").item(),
    }
    frame = pl.DataFrame([row], schema_overrides={"seed": pl.Int64})
    frame = frame.with_columns(pl.col("created").dt.replace_time_zone("UTC"))
    tables.append(wh.storage, "networks", frame)


def _row(who: str, **fields: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("file", "expression", "morph_from", "morph_to", "morph_level"))
    return {**empty, "identity": who, "source": "planted", "attributes": {}, **fields}

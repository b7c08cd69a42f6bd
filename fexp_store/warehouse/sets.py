"""What makes a stimulus set the set that it is, and where its images are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import polars as pl

IMAGES = "images"
"""The folder of images that are kept in a warehouse."""

ROOTS = "image_roots"
"""Machine-local record of where the images of each stimulus set are."""

OWN: dict[str, pl.DataType | type[pl.DataType]] = {
    "stimulus_id": pl.Int32,
    "image_sha256": pl.String,
    "file": pl.String,
    "identity": pl.String,
    "expression": pl.String,
    "source": pl.String,
    "morph_from": pl.String,
    "morph_to": pl.String,
    "morph_level": pl.Float64,
    "attributes": pl.Map(pl.String, pl.String),
}
"""Columns that say something of one stimulus; the others hold for its whole set."""


def set_sha256(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the hash of the rows of a set, in order: its id.

    Parameters
    ----------
    rows : iterable of mapping
        Columns of `OWN`; others are left out.
    """
    own = [{name: row[name] for name in OWN} for row in rows]
    return sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def kept_path(image_sha256: str) -> str:
    """Return where an image that is kept in a warehouse is in it."""
    return f"{IMAGES}/{image_sha256[:2]}/{image_sha256}"

"""Stimulus sets: images verified one by one, registered once, and read back."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import polars as pl

from fexp_store.errors import Conflict, NotFound
from fexp_store.warehouse import Warehouse, tables
from fexp_store.warehouse.names import check_name

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
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


def stimulus(
    number: int,
    image_sha256: str,
    identity: str,
    source: str,
    *,
    file: str | None = None,
    expression: str | None = None,
    morph: tuple[str, str, float] | None = None,
    attributes: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Make a row of a set.

    Parameters
    ----------
    morph : (str, str, float), optional
        Expression at level 0, expression at level 1, and the level; such a row has no expression.
    """
    morph_from, morph_to, morph_level = morph or (None, None, None)
    return {
        "stimulus_id": number,
        "image_sha256": image_sha256,
        "file": file,
        "identity": identity,
        "expression": expression,
        "source": source,
        "morph_from": morph_from,
        "morph_to": morph_to,
        "morph_level": morph_level,
        "attributes": attributes or {},
    }


def register(wh: Warehouse, name: str, rows: list[dict[str, Any]]) -> bool:
    """Register rows (columns of the table ``stimuli`` without set name and hash) as a set.

    Returns
    -------
    bool
        False if this very set was registered before.

    Raises
    ------
    Conflict
        If the name is taken by another set.
    """
    check_name("stimulus set", name)
    set_sha256 = sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()

    def taken() -> bool:
        stored = tables.read(wh.storage, "stimuli").filter(stimulus_set=name)
        if stored.is_empty():
            return False
        if stored["set_sha256"][0] != set_sha256:
            raise Conflict(
                f"A stimulus set {name} with other images or labels is registered already; "
                "sets never change, so choose another name."
            )
        return True

    frame = pl.DataFrame(rows, schema=_SCHEMA).select(
        pl.lit(name).alias("stimulus_set"), pl.lit(set_sha256).alias("set_sha256"), pl.all()
    )
    return tables.append(wh.storage, "stimuli", frame, key=f"stimuli/{name}", unless=taken)


def made_before(wh: Warehouse, name: str, source: str, count: int) -> bool:
    """Whether a set was made before with the same parameters, which its source tells.

    Raises
    ------
    Conflict
        If the name is taken by another set.
    """
    stored = tables.read(wh.storage, "stimuli").filter(stimulus_set=name)
    if stored.is_empty():
        return False
    if stored["source"][0] != source or stored.height != count:
        raise Conflict(
            f"A stimulus set {name} that was not made with these parameters is registered "
            "already; sets never change, so choose another name."
        )
    return True


def read_set(wh: Warehouse, name: str) -> pl.DataFrame:
    """Return the rows of a registered set in order of stimulus_id.

    Raises
    ------
    NotFound
        If there is no such set; the message lists those there are.
    """
    rows = wh.frame("FROM stimuli WHERE stimulus_set = $name ORDER BY stimulus_id", name=name)
    if rows.is_empty():
        known = wh.frame("SELECT DISTINCT stimulus_set FROM stimuli ORDER BY ALL")
        listed = ", ".join(known["stimulus_set"]) or "none yet"
        raise NotFound(f"There is no stimulus set {name!r}; registered: {listed}.")
    return rows

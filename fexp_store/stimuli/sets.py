"""Stimulus sets: registered once with their recipe, never changed, and read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl

from fexp_store.errors import Conflict, NotFound
from fexp_store.options import plain
from fexp_store.rights import UNKNOWN, Rights
from fexp_store.stimuli.recipe import Data, difference, of_older_rows, read_recipe
from fexp_store.warehouse import Warehouse, tables
from fexp_store.warehouse.names import check_name
from fexp_store.warehouse.sets import OWN, set_sha256


@dataclass(frozen=True)
class Made:
    """What making a set came to.

    Attributes
    ----------
    images : int
        Number of images of the set.
    new : bool
        False if this very set was registered before.
    remarks : tuple of str
        What people should know of photographs: files that do not fit, several in one cell.
    gaps : DataFrame or None
        Of photographs: what `fexp_store.stimuli.photographs.filters.incomplete` returned.
    """

    images: int
    new: bool = True
    remarks: tuple[str, ...] = ()
    gaps: pl.DataFrame | None = None


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


def own(row: dict[str, Any]) -> dict[str, Any]:
    """Return what `stimulus` had made of a row that was read: not what holds for its whole set."""
    return {column: row[column] for column in OWN}


def register(
    wh: Warehouse,
    name: str,
    rows: list[dict[str, Any]],
    recipe: Data | None = None,
    rights: Rights = UNKNOWN,
) -> bool:
    """Register rows (what `stimulus` makes) as a set, whose id is their hash.

    Parameters
    ----------
    recipe : dict, optional
        What `fexp_store.stimuli.recipe.as_data` returned.

    Returns
    -------
    bool
        False if this very set was registered before.

    Raises
    ------
    Conflict
        If the name is taken by another set, or the set has another licence or citation.
    """
    check_name("stimulus set", name)
    digest = set_sha256(rows)

    def taken() -> bool:
        stored = stored_set(wh, name)
        if stored is None:
            return False
        if stored["set_sha256"] != digest:
            raise Conflict(
                f"A stimulus set {name} with other images or labels is registered already; "
                "sets never change, so choose another name."
            )
        _check_rights(name, stored, rights)
        return True

    written = None if recipe is None else json.dumps(recipe, sort_keys=True)
    whole = {"stimulus_set": name, "set_sha256": digest, "recipe": written, **plain(rights)}
    frame = pl.DataFrame(rows, schema=OWN).with_columns(
        pl.lit(value, pl.String).alias(column) for column, value in whole.items()
    )
    return tables.append(wh.storage, "stimuli", frame, key=f"stimuli/{name}", unless=taken)


def made_before(wh: Warehouse, name: str, recipe: Data, rights: Rights = UNKNOWN) -> Made | None:
    """Return a set that was made before by the same recipe; None if the name is free.

    Raises
    ------
    Conflict
        If the name is taken by a set of another recipe, or of an unknown one, or that has another
        licence or citation.
    """
    stored = stored_set(wh, name)
    if stored is None:
        return None
    known = read_recipe(stored["recipe"]) or of_older_rows(read_set(wh, name))
    if known is None:
        raise Conflict(
            f"A set {name} is registered already of which the recipe is not known, so that it "
            "cannot be compared with this one; choose another name."
        )
    if differs := difference(recipe, known):
        raise Conflict(
            f"A set {name} that was not made so is registered already: {differs}; "
            "sets never change, so choose another name."
        )
    _check_rights(name, stored, rights)
    return Made(stored["images"], new=False)


def stored_set(wh: Warehouse, name: str) -> dict[str, Any] | None:
    """Return what holds for all rows of a set, and their number; None if it is not registered."""
    rows = tables.read(wh.storage, "stimuli").filter(stimulus_set=name)
    return None if rows.is_empty() else {**rows.row(0, named=True), "images": rows.height}


def _check_rights(name: str, stored: dict[str, Any], rights: Rights) -> None:
    said = {key: value for key, value in plain(rights).items() if value is not None}
    if differs := difference(said, stored):
        raise Conflict(
            f"The set {name} is registered with other rights: {differs}; sets never change, so "
            "choose another name."
        )


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

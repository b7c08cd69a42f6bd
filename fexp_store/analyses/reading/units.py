"""Which units an analysis reads: the selective ones, all, as many at random, or those of a file."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.errors import BadInput, NotFound
from fexp_store.given import MIB, read_text
from fexp_store.options import Seed, record
from fexp_store.warehouse import Warehouse, runs
from fexp_store.warehouse.networks import registered
from fexp_store.warehouse.place import Place

CHOICES = ("selective", "all", "random")
"""What `choose_units` knows; anything else names a file."""


def recorded(path: str) -> str:
    """Return what is recorded of a file of unit_ids: its name, and what is in it.

    The hash is the SHA-256 of the ids in ascending order, each once and on a line of its own, as
    ``sort -nu FILE | sha256sum`` gives it, cut to 12 digits.
    """
    return _as_recorded(Path(path), _read_ids(Path(path)))


@record
class UnitChoice:
    """Which units are read."""

    units: Annotated[
        str,
        Meta(
            description="selective; all; random: as many, drawn from all that vary; or a file of "
            "unit_ids.",
            extra={"file_unless": CHOICES, "recorded": recorded},
        ),
    ] = "selective"


@record
class UnitSource(UnitChoice):
    """Which units are read, and where it is known which are selective."""

    selected_on: Annotated[
        str | None,
        Meta(description="Set (or run_id) of `fexp select`; the training set by default."),
    ] = None
    seed: Annotated[Seed, Meta(description="Of folds, shuffles and random draws.")] = 0


def reads(wh: Warehouse, place: Place, options: UnitSource) -> dict[str, Any]:
    """Return where units are selected and, unless that is nowhere, by which run on which set.

    Returns
    -------
    dict
        selection: ``none`` if units are not selected, ``circular`` if that is done on all images
        of the set itself, ``elsewhere`` if on another set; and what `selection` returns.
    """
    if options.units not in ("selective", "random"):
        return {"selection": "none"}
    found = selection(wh, place, options.selected_on or place.stimulus_set)
    here = found["selected_on"] == place.stimulus_set
    return found | {"selection": "circular" if here else "elsewhere"}


def selection(wh: Warehouse, place: Place, selected_on: str) -> dict[str, Any]:
    """Find the run of ``fexp select`` that tells which units of a layer are selective.

    Parameters
    ----------
    selected_on : str
        The stimulus set that it was run on (the newest run counts), or the run_id of a certain run.

    Returns
    -------
    dict
        selected_on: the set; selection_run: its run_id, None if it was not run.
    """
    key = place._replace(stimulus_set=selected_on).columns | {"factor": "expression"}
    found = runs.newest(wh, "select", key)
    if found is not None:
        return {"selected_on": selected_on, "selection_run": found.run_id}
    query = schemas.sql("queries")["selection_by_run"]
    for stimulus_set, run_id in wh.frame(query, run_id=selected_on).iter_rows():
        return {"selected_on": stimulus_set, "selection_run": run_id}
    return {"selected_on": selected_on, "selection_run": None}


def choose_units(
    wh: Warehouse, place: Place, options: UnitSource, source: dict[str, Any], draws: int = 1
) -> list[list[int]]:
    """Choose units of a layer.

    Parameters
    ----------
    options : UnitSource
        units: ``selective``; ``all``; ``random``: as many as are selective, drawn without
        replacement from all units that vary; or a text file with one unit_id a line.
    source : dict
        For selective and random units, what `selection` returned; the parameters of a run do.
    draws : int
        Of random units.

    Returns
    -------
    list of list of int
        unit_ids in ascending order, of each draw; units that are not drawn are one.

    Raises
    ------
    NotFound
        If ``fexp select`` was not run, or there is no such file.
    BadInput
        If no unit is selective, or the file holds something else than units of the layer, or other
        ones than are recorded of it as `units` of the source.
    """
    n_units = registered(wh, place.network).layer(place.layer).units
    if options.units == "all":
        return [list(range(n_units))]
    if options.units not in CHOICES:
        return [_from_file(Path(options.units), n_units, source)]
    selected_on = place._replace(stimulus_set=source["selected_on"])
    rows = selected_units(wh, selected_on, source["selection_run"])
    selective = rows.filter("selective")["unit_id"]
    if selective.is_empty():
        raise BadInput(f"No unit of {selected_on} is selective; use all units.")
    if options.units == "selective":
        return [selective.to_list()]
    varying = rows.filter(pl.col("f_expression").is_not_null())["unit_id"].to_numpy()
    rng = np.random.default_rng(options.seed)
    drawn = (rng.choice(varying, len(selective), replace=False) for _ in range(draws))
    return [sorted(units.tolist()) for units in drawn]


def selected_units(wh: Warehouse, place: Place, run_id: str | None) -> pl.DataFrame:
    """Return unit_id, selective and f_expression of the units of a run of ``fexp select``.

    Raises
    ------
    NotFound
        If there is no such run, or it was on another layer; the message gives the command.
    """
    query = schemas.sql("queries")["selected_units"]
    key = {"network": place.network, "layer": place.layer, "run_id": run_id}
    rows = wh.frame(query, **key) if run_id is not None else pl.DataFrame()
    if rows.is_empty():
        raise NotFound(
            f"Which units of {place} are selective is not known; run: "
            f"fexp select {place.as_arguments}"
        )
    return rows


def _from_file(path: Path, n_units: int, source: dict[str, Any]) -> list[int]:
    unit_ids = _read_ids(path)
    if not unit_ids.size or unit_ids[0] < 0 or unit_ids[-1] >= n_units:
        raise BadInput(f"{path} must hold unit_ids from 0 to {n_units - 1}, one a line.")
    now = _as_recorded(path, unit_ids)
    if source.get("units", now) != now:
        raise BadInput(f"{path} was changed while it was read; run this again.")
    found: list[int] = unit_ids.tolist()
    return found


def _read_ids(path: Path) -> NDArray[np.int32]:
    """Return the ids of a file in ascending order, each once."""
    if not path.exists():
        raise NotFound(
            f"{str(path)!r} is neither selective, all or random nor a file with one unit_id a line."
        )
    words = read_text(path, "The list of units", 64 * MIB).split()
    try:
        return np.unique(np.array(words, dtype=np.int32))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{path} holds something else than unit_ids: {error}.") from None


def _as_recorded(path: Path, unit_ids: NDArray[np.int32]) -> str:
    lines = "".join(f"{unit}\n" for unit in unit_ids.tolist())
    digest = sha256(lines.encode()).hexdigest()
    return f"{path.name} ({len(unit_ids)} units, sha256 {digest[:12]})"

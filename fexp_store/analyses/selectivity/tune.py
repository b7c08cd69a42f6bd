"""How selective units are tuned: z-scored responses, averaged by expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from fexp_store import schemas
from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.reading.units import selected_units, selection
from fexp_store.options import record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store

_UNITS_A_BLOCK = 4096


@record
class Options:
    """`tune` has no options."""


@dataclass(frozen=True)
class Tuning:
    """What `tune` found for one layer.

    Parameters
    ----------
    counts : DataFrame
        expression and units: how many selective units prefer it; every expression has a row.
    run_id : str
    """

    counts: pl.DataFrame
    run_id: str


def tune(wh: Warehouse, place: Place, options: Options) -> Tuning:
    """Compute how selective units are tuned, store it, and count which expression they prefer.

    Each unit's responses are z-scored across stimuli (population standard deviation) and averaged
    by expression; the expression with the highest mean is the unit's preferred one. This describes
    units that were selected on the same images: units that noise selected are tuned too.

    Raises
    ------
    NotFound
        If the network or the layer is not there, or ``fexp select`` was not run on it.

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figure 1B; Kriegeskorte, Simmons,
    Bellgowan & Baker 2009, Nat. Neurosci. 12:535 (circular analysis).
    """
    registered(wh, place.network).layer(place.layer)
    run = begin(wh, ANALYSIS, place, options)
    chosen = selected_units(wh, place, run.parameters["selection_run"])
    units = chosen.filter("selective")["unit_id"].to_list()
    store(wh.storage, run, {"tuning": _rows(wh, place, units)})
    counts = wh.frame(schemas.sql("queries")["preferred_expressions"], **place.columns)
    return Tuning(counts, run.run_id)


def matrix(wh: Warehouse, place: Place) -> pl.DataFrame:
    """Return the stored tuning as the matrix of figure 1B.

    Returns
    -------
    DataFrame
        unit_id, preferred, and a column per expression in alphabetical order; units are grouped by
        preferred expression, and sorted within a group by their tuning to it, highest first.
    """
    rows = wh.frame(schemas.sql("queries")["tuning_of"], **place.columns)
    wide = rows.pivot("expression", index=["unit_id", "preferred"], values="tuning")
    best = pl.max_horizontal(pl.exclude("unit_id", "preferred"))
    return wide.sort("preferred", best, "unit_id", descending=[False, True, False])


def _said(found: Tuning) -> Iterator[str]:
    yield (
        f"{found.counts['units'].sum()} units, selected on these very images: their tuning is a "
        "description, and no test."
    )


def _rows(wh: Warehouse, place: Place, units: list[int]) -> pl.DataFrame:
    empty = {"unit_id": pl.Int32, "expression": pl.String, "tuning": pl.Float64}
    blocks = [pl.DataFrame(schema=empty | {"preferred": pl.String})]
    for start in range(0, len(units), _UNITS_A_BLOCK):
        block = wh.matrix(*place, units=units[start : start + _UNITS_A_BLOCK])
        x = block.values.astype(np.float64)
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        shown = block.stimuli["expression"].to_numpy()
        names = np.unique(shown)
        means = np.stack([z[shown == name].mean(axis=0) for name in names], axis=1)
        blocks.append(
            pl.DataFrame(
                {
                    "unit_id": np.repeat(block.unit_ids, len(names)),
                    "expression": np.tile(names, len(means)).astype(str),
                    "tuning": means.ravel(),
                    "preferred": np.repeat(names[means.argmax(axis=1)], len(names)).astype(str),
                },
                schema=blocks[0].schema,
            )
        )
    return pl.concat(blocks)


ANALYSIS = Analysis(
    name="tune",
    options=Options,
    run=tune,
    tables=("tuning",),
    same_if=("network", "layer", "stimulus_set"),
    shown=lambda found: found.counts,
    said=_said,
    reads=lambda wh, place, _options: selection(wh, place, place.stimulus_set),
)

"""Which units respond to one factor and not to the other, and how many chance would select."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.reading.design import check_complete, check_one_image_per_cell
from fexp_store.analyses.reading.finite import read_blocks
from fexp_store.analyses.selectivity.anova import FACTORS, Design, anova
from fexp_store.analyses.selectivity.criterion import (
    Criterion,
    f_limits,
    selective_units,
    share_by_alpha,
)
from fexp_store.analyses.selectivity.null import null_counts
from fexp_store.options import Seed, record
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store

_TABLES = {"expression": "selectivity", "identity": "identity_selectivity"}
"""Where units are stored, by the factor that they are selective for; also the SQL view."""


@record
class Options(Criterion):
    """Options of `select`. The study has alpha 0.01, no correction and the factor expression."""

    factor: Annotated[
        Literal["expression", "identity"],
        Meta(description="What units are to be selective for."),
    ] = "expression"
    correction: Annotated[
        Literal["none", "fdr_bh", "bonferroni"], Meta(description="For the number of units.")
    ] = "none"
    permutations: Annotated[
        int,
        Meta(ge=0, le=100_000, description="Shuffle labels so often, to see what chance selects."),
    ] = 100
    seed: Annotated[Seed, Meta(description="Of the permutations.")] = 0


@dataclass(frozen=True)
class Selectivity:
    """What `select` found for one layer; what chance does is null without permutations.

    Parameters
    ----------
    units : int
        Units of the layer.
    varying : int
        Units whose responses vary at all; the others are never selective.
    selective : int
    threshold : float
        Level of the factor's p: alpha, or what the correction makes of it.
    expected : float
        Units that the rule would select among the varying ones if no factor had an effect and
        responses were normal (see `share_by_alpha`); ``varying * threshold * (1 - alpha)`` with
        absence p. Shown as expected_by_alpha: where permutations select another number, theirs is
        the one to compare with.
    chance_mean, chance_low, chance_high : float, optional
        Mean and central 95% of the counts over permutations.
    chance_p : float, optional
        ``(1 + permutations with at least as many) / (1 + permutations)``.
    run_id : str
    """

    units: int
    varying: int
    selective: int
    threshold: float
    expected: float
    chance_mean: float | None
    chance_low: float | None
    chance_high: float | None
    chance_p: float | None
    run_id: str


def select(wh: Warehouse, place: Place, options: Options) -> Selectivity:
    """Find units that respond to expression and not to identity, and store the result.

    Per unit, a two-way analysis of variance without replication, expression x identity. A unit is
    selective if p(expression) < alpha, after correction for the number of varying units, and
    identity has no effect: by p(identity) > alpha as in the study, or by the size of its effect
    (`--absence`); the other way round for the factor identity. Permutations shuffle labels of the
    factor within levels of the other one, and tell mean, central 95% and p of the count;
    `expected_by_alpha` is the number for normal responses without any effect.

    Raises
    ------
    NotFound
        If the network, the layer or the set is not there.
    BadInput
        If stimuli are missing, or a cell of the design has not exactly one image.

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, "Expression-selective units".
    """
    registered(wh, place.network).layer(place.layer)
    check_complete(wh, place)
    check_one_image_per_cell(wh, place.stimulus_set)
    run = begin(wh, ANALYSIS, place, options)
    table = anova(wh, place)
    threshold = corrected_level(table[f"p_{options.factor}"], options.alpha, options.correction)
    design = Design.of(read_set(wh, place.stimulus_set))
    rule = (options, design.df, options.factor, threshold)
    selective = selective_units(table, *rule)
    counts = np.empty(0)
    if options.permutations:
        blocks = (b.values for b in read_blocks(wh, place))
        limits = f_limits(*rule)
        counts = null_counts(
            blocks, design, options.factor, limits, options.permutations, options.seed
        )
    varying = table["p_expression"].count()
    found = Selectivity(
        units=table.height,
        varying=varying,
        selective=int(selective.sum()),
        threshold=threshold,
        expected=varying * share_by_alpha(*rule),
        **chance_of(counts, int(selective.sum())),
        run_id=run.run_id,
    )
    columns = [f"{s}_{f}" for f in FACTORS for s in ("f", "p", "eta_squared")]
    units = table.select("unit_id", *columns, selective)
    frames = {_TABLES[options.factor]: units, "selection": pl.DataFrame([asdict(found)])}
    store(wh.storage, run, frames)
    return found


def corrected_level(p: pl.Series, alpha: float, correction: str) -> float:
    """Return the level that p must be below, once corrected for the number of tests.

    For ``fdr_bh`` it is the step above the largest p that is rejected, and that of Bonferroni if
    none is: the same units are selected as by comparing adjusted p values with alpha.

    References
    ----------
    Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57:289.
    """
    tested = np.sort(p.drop_nulls().to_numpy())
    if correction == "none" or not len(tested):
        return alpha
    steps = alpha * np.arange(1, len(tested) + 1) / len(tested)
    if correction == "bonferroni":
        return float(steps[0])
    rejected = np.flatnonzero(tested < steps)
    return float(steps[rejected[-1]] if len(rejected) else steps[0])


def chance_of(counts: NDArray[np.float64], selective: int) -> dict[str, float | None]:
    """Sum up the counts over permutations, shape (permutations,), beside the count found."""
    if not len(counts):
        return dict.fromkeys(("chance_mean", "chance_low", "chance_high", "chance_p"))
    low, high = np.quantile(counts, (0.025, 0.975))
    return {
        "chance_mean": float(counts.mean()),
        "chance_low": float(low),
        "chance_high": float(high),
        "chance_p": float((1 + np.sum(counts >= selective)) / (1 + len(counts))),
    }


def _shown(found: Selectivity) -> pl.DataFrame:
    row = asdict(found) | {"expected_by_alpha": round(found.expected, 1)}
    chance = [name for name in row if name.startswith("chance_") and row[name] is not None]
    columns = ("units", "varying", "selective", *chance, "expected_by_alpha")
    return pl.DataFrame([row]).select(columns)


ANALYSIS = Analysis(
    name="select",
    example="--permutations 1000",
    options=Options,
    run=select,
    tables=(*_TABLES.values(), "selection"),
    same_if=("network", "layer", "stimulus_set", "factor"),
    shown=_shown,
)

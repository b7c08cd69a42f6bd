"""Which units respond to one factor and not to the other, and how many chance would select."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.anova import FACTORS, Design, anova
from fexp_store.analyses.design import check_complete, check_one_image_per_cell
from fexp_store.analyses.null import null_counts
from fexp_store.analyses.options import check_options
from fexp_store.networks.records import registered
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse, runs, tables

ALPHA = 0.01
"""The study's level: p of the factor below it and p of the other factor above it."""
TABLES = {"expression": "selectivity", "identity": "identity_selectivity"}
"""Where units are stored, by the factor that they are selective for; also the SQL view."""


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
        Units that the levels alone would select among the varying ones: ``varying * threshold *
        (1 - alpha)``, if neither factor had an effect and the two tests were independent (they
        share an error term, so they nearly are).
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


def select(
    wh: Warehouse,
    network: str,
    layer: str,
    stimulus_set: str,
    *,
    alpha: float = ALPHA,
    factor: str = "expression",
    correction: str = "none",
    permutations: int = 0,
    seed: int = 0,
) -> Selectivity:
    """Find the selective units of a layer and store the result.

    A unit is selective if p(factor) < alpha, after correction for the number of varying units,
    and p(other factor) > alpha.

    Parameters
    ----------
    alpha : float
        Between 0 and 1; 0.01 in the study.
    factor : str
        ``expression`` (the study's) or ``identity``.
    correction : str
        ``none`` (the study's), ``fdr_bh`` or ``bonferroni``.
    permutations : int
        How often labels of the factor are shuffled within levels of the other one.
    seed : int
        Of the permutations.

    Returns
    -------
    Selectivity

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
    check_options(
        alpha=alpha, factor=factor, correction=correction, permutations=permutations, seed=seed
    )
    registered(wh, network).layer(layer)
    check_complete(wh, network, layer, stimulus_set)
    check_one_image_per_cell(wh, stimulus_set)
    key = {"network": network, "layer": layer, "stimulus_set": stimulus_set}
    options = {"alpha": alpha, "factor": factor, "correction": correction}
    chance = {"permutations": permutations, "seed": seed}
    run = runs.begin(wh.storage, "select", key | options | chance)
    table = anova(wh, **key)
    threshold = corrected_level(table[f"p_{factor}"], alpha, correction)
    selective = _selective(table, factor, threshold, alpha)
    counts = np.empty(0)
    if permutations:
        design = Design.of(read_set(wh, stimulus_set))
        blocks = (b.values for b in wh.matrix_blocks(network, layer, stimulus_set))
        counts = null_counts(blocks, design, factor, (threshold, alpha), permutations, seed)
    varying = table["p_expression"].count()
    found = Selectivity(
        units=table.height,
        varying=varying,
        selective=int(selective.sum()),
        threshold=threshold,
        expected=varying * threshold * (1 - alpha),
        **chance_of(counts, int(selective.sum())),
        run_id=run.run_id,
    )
    labels = [pl.lit(value).alias(name) for name, value in key.items()]
    columns = [f"{s}_{f}" for f in FACTORS for s in ("f", "p", "eta_squared")]
    units = table.select(
        *labels, pl.lit(run.run_id).alias("run_id"), "unit_id", *columns, selective
    )
    tables.append(wh.storage, f"results/{TABLES[factor]}", units)
    tables.append(
        wh.storage, "results/selection", pl.DataFrame([key | options | chance | asdict(found)])
    )
    runs.record_end(wh.storage, run)
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


def _selective(table: pl.DataFrame, factor: str, threshold: float, alpha: float) -> pl.Series:
    (other,) = set(FACTORS) - {factor}
    rule = (table[f"p_{factor}"] < threshold) & (table[f"p_{other}"] > alpha)
    return rule.fill_null(value=False).alias("selective")

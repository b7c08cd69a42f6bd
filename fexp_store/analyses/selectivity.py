"""Which units respond to expression and not to identity: two-way ANOVA per unit, in SQL."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from fexp_store.analyses.design import check_complete, check_one_image_per_cell
from fexp_store.errors import BadInput
from fexp_store.networks.records import registered
from fexp_store.warehouse import Warehouse, runs, tables

ANOVA = "FROM expression_anova($network, $layer, $stimulus_set)"
ALPHA = 0.01
"""The study's level: p(expression) below it and p(identity) above it."""


@dataclass(frozen=True)
class Selectivity:
    """What `select` found for one layer.

    Parameters
    ----------
    units : int
        Units of the layer.
    varying : int
        Units whose responses vary at all; the others are never selective.
    selective : int
    expected : float
        Units that alpha alone would select among the varying ones: ``varying * alpha * (1 -
        alpha)``, if neither factor had an effect and the two tests were independent (they share
        an error term, so they nearly are).
    run_id : str
    """

    units: int
    varying: int
    selective: int
    expected: float
    run_id: str


def anova(wh: Warehouse, network: str, layer: str, stimulus_set: str) -> pl.DataFrame:
    """Two-way analysis of variance without replication of each unit, with p and effect sizes.

    Returns
    -------
    DataFrame
        One row per unit: the columns of the macro ``expression_anova``, and p_expression,
        p_identity, eta_squared_expression, eta_squared_identity (null without variance).
    """
    sums = wh.frame(ANOVA, network=network, layer=layer, stimulus_set=stimulus_set)
    return sums.with_columns(
        *(_p_value(sums, factor) for factor in ("expression", "identity")),
        *(_partial_eta_squared(factor) for factor in ("expression", "identity")),
    )


def select(
    wh: Warehouse, network: str, layer: str, stimulus_set: str, *, alpha: float = ALPHA
) -> Selectivity:
    """Find the expression-selective units of a layer and store the result.

    A unit is selective if p(expression) < alpha and p(identity) > alpha.

    Parameters
    ----------
    alpha : float
        Between 0 and 1; 0.01 in the study.

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
    if not 0 < alpha < 1:
        raise BadInput(f"alpha is {alpha}; it must lie between 0 and 1.")
    registered(wh, network).layer(layer)
    check_complete(wh, network, layer, stimulus_set)
    check_one_image_per_cell(wh, stimulus_set)
    key = {"network": network, "layer": layer, "stimulus_set": stimulus_set}
    run = runs.begin(wh.root, "select", key | {"alpha": alpha})
    units = anova(wh, **key).select(
        *(pl.lit(value).alias(name) for name, value in (key | {"run_id": run.run_id}).items()),
        "unit_id",
        *(
            f"{statistic}_{factor}"
            for factor in ("expression", "identity")
            for statistic in ("f", "p", "eta_squared")
        ),
        ((pl.col("p_expression") < alpha) & (pl.col("p_identity") > alpha))
        .fill_null(value=False)
        .alias("selective"),
    )
    tables.append(wh.root, "results/selectivity", units)
    runs.record_end(wh.root, run)
    varying = units["p_expression"].count()
    return Selectivity(
        units=units.height,
        varying=varying,
        selective=int(units["selective"].sum()),
        expected=varying * alpha * (1 - alpha),
        run_id=run.run_id,
    )


def _p_value(sums: pl.DataFrame, factor: str) -> pl.Series:
    """Upper tail of the F distribution; null where F is."""
    f = sums[f"f_{factor}"]
    p = stats.f.sf(f.to_numpy(), sums[f"df_{factor}"].to_numpy(), sums["df_error"].to_numpy())
    return pl.Series(f"p_{factor}", np.asarray(p), nan_to_null=True)


def _partial_eta_squared(factor: str) -> pl.Expr:
    effect, error = pl.col(f"ss_{factor}"), pl.col("ss_error")
    share = pl.when(effect + error > 0).then(effect / (effect + error))
    return share.alias(f"eta_squared_{factor}")

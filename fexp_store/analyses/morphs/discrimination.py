"""Discrimination along a continuum, what identification predicts of it, and who is categorical."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.morphs.continuum import Continuum
from fexp_store.analyses.morphs.geometry import step_distances
from fexp_store.analyses.morphs.peak import Peak
from fexp_store.analyses.statistics import holm, interval

Array = NDArray[np.float64]
CATEGORICAL = {"n_identities": pl.Int32} | dict.fromkeys(
    (
        "peak",
        "peak_null",
        "peak_null_low",
        "peak_null_high",
        "p",
        "correlation",
        "aic_gain",
        "left_out_gain",
        "boundary",
    ),
    pl.Float64,
)
"""What `categorical_row` tells, with its types."""

ALPHA = 0.025
"""Of the one-sided test that decides: what a test in both directions at .05 has on one side."""

_SAME = 1e-9


def discrimination_rows(continuum: Continuum, found: Peak) -> pl.DataFrame:
    """Distances between neighbouring levels beside those of linear codes and a prediction.

    The prediction is that of discrimination by labels alone, as the proportion correct in an ABX
    task: ``.5 + .5 (p1 - p2)**2`` of the proportions p1 and p2 in which two morphs are identified
    as the second expression.

    Returns
    -------
    DataFrame
        One row per pair of neighbours: columns of ``results/discrimination`` from level_low on.

    References
    ----------
    Liberman, Harris, Hoffman & Griffith 1957, Journal of Experimental Psychology 54:358-368.
    """
    levels = continuum.levels
    steps = step_distances(continuum.products) / np.diff(levels)
    null = found.null_speeds
    has_null = len(null) > 0
    low, high = np.quantile(null, (0.025, 0.975), axis=0) if has_null else (None, None)
    change = np.diff(continuum.second.mean(axis=1))
    columns = {
        "level_low": levels[:-1],
        "level_high": levels[1:],
        "distance": steps.mean(axis=0),
        "relative": _numbers(found.speeds.mean(axis=0)),
        "relative_null": null.mean(axis=0) if has_null else None,
        "relative_null_low": low,
        "relative_null_high": high,
        "identified_change": change,
        "predicted": 0.5 + 0.5 * change**2,
    }
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))


def categorical_row(continuum: Continuum, found: Peak, fits: pl.DataFrame) -> dict[str, object]:
    """What tells if one continuum is perceived categorically, but for the adjustment of p.

    Parameters
    ----------
    fits : DataFrame
        The rows of ``results/categorical_fit`` of this continuum.
    """
    by_model = {row["model"]: row for row in fits.iter_rows(named=True)}
    logistic = by_model.pop("logistic")
    null_low, null_high = interval(found.null_means)
    predicted = 0.5 + 0.5 * np.diff(continuum.second.mean(axis=1)) ** 2
    return {
        "n_identities": len(continuum.identities),
        "peak": found.mean,
        "peak_null": float(found.null_means.mean()) if len(found.null_means) else None,
        "peak_null_low": null_low,
        "peak_null_high": null_high,
        "p": found.p,
        "correlation": correlation(found.speeds.mean(axis=0), predicted),
        "aic_gain": _gain(by_model, logistic, "aic", -1),
        "left_out_gain": _gain(by_model, logistic, "left_out_log_likelihood", 1),
        "boundary": logistic["boundary"],
    }


def with_decisions(rows: pl.DataFrame) -> pl.DataFrame:
    """Adjust p over continua and decide: p_holm below `ALPHA`, and a boundary there is.

    A continuum that has a boundary and no p is undecided: null.
    """
    adjusted = pl.Series("p_holm", holm(rows["p"].to_list()), pl.Float64)
    decided = pl.col("boundary").is_not_null() & (pl.col("p_holm") < ALPHA)
    return rows.with_columns(adjusted).with_columns(categorical=decided).drop("boundary")


def identity_rows(continuum: Continuum, found: Peak) -> pl.DataFrame:
    """Each identity's own peak: columns of ``results/categorical_identity`` from identity on."""
    null = found.null_peaks.mean(axis=0) if len(found.null_peaks) else found.peaks
    columns = {
        "identity": continuum.identities,
        "peak": _numbers(found.peaks),
        "peak_null": _numbers(null),
        "p": found.p_of_each,
    }
    kinds = {name: pl.String if name == "identity" else pl.Float64 for name in columns}
    return pl.DataFrame(columns, schema=kinds)


def correlation(a: Array, b: Array) -> float | None:
    """Pearson's r; None where either does not vary or is not known."""
    if len(a) < 3 or not np.isfinite(a).all() or np.ptp(a) < _SAME or np.ptp(b) < _SAME:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _gain(
    others: dict[str, dict[str, Any]], logistic: dict[str, Any], column: str, sign: int
) -> float | None:
    """How much better the logistic is than the better of the other models that could be fitted."""
    known = [sign * row[column] for row in others.values() if row[column] is not None]
    if logistic[column] is None or not known:
        return None
    return float(sign * logistic[column] - max(known))


def _numbers(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]

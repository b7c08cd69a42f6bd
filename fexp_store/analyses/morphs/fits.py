"""Is identification along a continuum a step or a line? Fits, intervals and paired tests."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.morphs.curves import (
    MODELS,
    PARAMETERS,
    boundary,
    fit,
    logistic_grid,
    slope,
)
from fexp_store.analyses.statistics import holm, interval, paired_t, wilcoxon

Array = NDArray[np.float64]
PAIRS = (("logistic", "linear"), ("logistic", "poly2"), ("poly2", "linear"))
_TESTS = (("t", paired_t), ("wilcoxon", wilcoxon))


def fit_rows(
    levels: Array, chosen: Array, distances: pl.DataFrame, resamples: int, seed: int
) -> pl.DataFrame:
    """Fit every model to one continuum.

    Intervals are quantiles over `resamples` curves of identities drawn with replacement, to
    which polynomials are fitted exactly and the logistic on a grid (see `logistic_grid`).

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
    chosen : ndarray of shape (n_levels, n_identities)
        1 where the second expression was chosen, else 0.
    distances : DataFrame
        level_low, level_high, distance of this continuum.
    resamples : int
    seed : int

    Returns
    -------
    DataFrame
        One row per model: columns of ``results/categorical_fit`` from model on.
    """
    drawn = resampled_curves(chosen, resamples, np.random.default_rng(seed))
    peak = distances.sort("distance", descending=True).row(0, named=True)
    rows = []
    for model in MODELS:
        found = fit(model, levels, chosen.mean(axis=1))
        low, high, slope_low, slope_high = (None,) * 4
        if found.parameters:
            boundaries, slopes = _boundaries(model, levels, drawn)
            (low, high), (slope_low, slope_high) = interval(boundaries), interval(slopes)
        at_boundary = None
        if found.boundary is not None and low is not None and high is not None:
            at_boundary = peak["level_low"] <= high and low <= peak["level_high"]
        rows.append(
            {
                "model": model,
                "parameters": json.dumps(found.parameters) if found.parameters else None,
                "r2": found.r2,
                "boundary": found.boundary,
                "boundary_low": low,
                "boundary_high": high,
                "slope": found.slope,
                "slope_low": slope_low,
                "slope_high": slope_high,
                "peak_low": peak["level_low"],
                "peak_high": peak["level_high"],
                "peak_at_boundary": at_boundary,
            }
        )
    kinds = {"model": pl.String(), "parameters": pl.String(), "peak_at_boundary": pl.Boolean()}
    return pl.DataFrame(rows, schema={name: kinds.get(name, pl.Float64()) for name in rows[0]})


def resampled_curves(chosen: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Identification curves of identities drawn with replacement: (resamples, n_levels)."""
    n = chosen.shape[1]
    counts = rng.multinomial(n, np.full(n, 1 / n), resamples)
    return counts @ chosen.T / n


def paired_fit_tests(r2: Mapping[str, list[float | None]]) -> pl.DataFrame:
    """Paired tests between models over the R2 of continua.

    Parameters
    ----------
    r2 : mapping
        Model to the R2 of each continuum, in one order; a continuum without R2 (a flat curve) in
        either model is left out of their test.

    Returns
    -------
    DataFrame
        model_a, model_b, test, n, difference, statistic, p, p_holm (over the pairs of models).
    """
    frames: list[tuple[str | int | float | None, ...]] = []
    for name, test in _TESTS:
        rows = []
        for a, b in PAIRS:
            known = [
                (x, y) for x, y in zip(r2[a], r2[b], strict=True) if x is not None and y is not None
            ]
            one, other = ([pair[i] for pair in known] for i in (0, 1))
            statistic, p = test(one, other)
            difference = float(np.mean(one) - np.mean(other)) if known else None
            rows.append((a, b, name, len(known), difference, statistic, p))
        adjusted = holm([row[-1] for row in rows])
        frames.extend((*row, q) for row, q in zip(rows, adjusted, strict=True))
    text = dict.fromkeys(("model_a", "model_b", "test"), pl.String)
    numbers = dict.fromkeys(("difference", "statistic", "p", "p_holm"), pl.Float64)
    return pl.DataFrame(frames, schema={**text, "n": pl.Int32, **numbers}, orient="row")


def _boundaries(model: str, levels: Array, curves: Array) -> tuple[Array, Array]:
    """Boundary and slope of each curve, NaN where there is none."""
    if model == "logistic":
        fitted = logistic_grid(levels, curves)
    else:
        powers = np.vander(levels, PARAMETERS[model], increasing=True)
        fitted = np.asarray(np.linalg.lstsq(powers, curves.T, rcond=None)[0].T, np.float64)
    at = [boundary(model, tuple(row)) for row in fitted]
    steep = [slope(model, tuple(row), x) for row, x in zip(fitted, at, strict=True)]
    return np.array(at, dtype=float), np.array(steep, dtype=float)

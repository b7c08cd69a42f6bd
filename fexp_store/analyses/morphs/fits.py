"""Is identification along a continuum a step or a line? Fits, their intervals, and tests of R2."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.morphs.continuum import Continuum
from fexp_store.analyses.morphs.curves import MODELS, PARAMETERS, fit
from fexp_store.analyses.morphs.intervals import Intervals, intervals
from fexp_store.analyses.morphs.likelihood import likelihood
from fexp_store.analyses.morphs.many import evaluate, least_squares_many
from fexp_store.analyses.statistics import holm, interval, mann_whitney, paired_t, wilcoxon

Array = NDArray[np.float64]
PAIRS = (("logistic", "linear"), ("logistic", "poly2"), ("poly2", "linear"))
_TESTS = (("t", paired_t), ("wilcoxon", wilcoxon), ("mann-whitney", mann_whitney))
_SAME = 1e-12


def fit_rows(
    continuum: Continuum,
    distances: pl.DataFrame,
    null_curves: Array,
    resamples: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Fit every model to one continuum.

    Parameters
    ----------
    distances : DataFrame
        level_low, level_high, distance of this continuum.
    null_curves : ndarray of shape (n_simulations, n_levels)
        Identification curves of simulated linear codes; none where none could be made.
    resamples : int
        Bootstrap samples of identities.

    Returns
    -------
    DataFrame
        One row per model: columns of ``results/categorical_fit`` from model on.
    """
    levels, second = continuum.levels, continuum.second
    peak = distances.sort("distance", descending=True).row(0, named=True)
    rows = []
    for model in MODELS:
        found = fit(model, levels, second.mean(axis=1))
        spread = Intervals()
        if found.r2 is not None:
            spread = intervals(found, levels, second, resamples, rng)
        likely = likelihood(model, levels, second)
        null = r2_many(model, levels, null_curves) if found.parameters else np.empty(0)
        low, high = spread.boundary or (None, None)
        slope_low, slope_high = spread.slope or (None, None)
        at_boundary = None
        if found.boundary is not None and low is not None and high is not None:
            at_boundary = peak["level_low"] <= high and low <= peak["level_high"]
        null_low, null_high = interval(null)
        rows.append(
            {
                "model": model,
                "parameters": json.dumps(found.parameters) if found.parameters else None,
                "r2": found.r2,
                "r2_null": float(np.nanmean(null)) if null_low is not None else None,
                "r2_null_low": null_low,
                "r2_null_high": null_high,
                "log_likelihood": likely and likely.log_likelihood,
                "aic": likely and likely.aic,
                "bic": likely and likely.bic,
                "left_out_log_likelihood": likely and likely.left_out,
                "boundary": found.boundary,
                "boundary_low": low,
                "boundary_high": high,
                "slope": found.slope if spread.slope else None,
                "slope_low": slope_low,
                "slope_high": slope_high,
                "peak_low": peak["level_low"],
                "peak_high": peak["level_high"],
                "peak_at_boundary": at_boundary,
            }
        )
    kinds = {"model": pl.String(), "parameters": pl.String(), "peak_at_boundary": pl.Boolean()}
    return pl.DataFrame(rows, schema={name: kinds.get(name, pl.Float64()) for name in rows[0]})


def r2_many(model: str, levels: Array, curves: Array) -> Array:
    """R2 of a model fitted to each curve by least squares, (n_curves,); NaN of flat curves."""
    if not len(curves) or len(levels) < PARAMETERS[model]:
        return np.empty(0)
    distinct, place = np.unique(curves, axis=0, return_inverse=True)
    fitted = evaluate(model, levels, least_squares_many(model, levels, distinct)).values
    residual = ((distinct - fitted) ** 2).sum(axis=1)
    total = ((distinct - distinct.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    r2 = np.where(total > _SAME, 1 - residual / np.where(total > _SAME, total, 1), np.nan)
    return np.asarray(r2[place.ravel()], np.float64)


def fit_tests(r2: Mapping[str, list[float | None]]) -> pl.DataFrame:
    """Tests between models over the R2 of continua: paired, and Mann and Whitney's.

    Parameters
    ----------
    r2 : mapping
        Model to the R2 of each continuum, in one order; a continuum without R2 (a flat curve) in
        either model is left out of their test.

    Returns
    -------
    DataFrame
        model_a, model_b, test, n, difference, statistic, p, p_holm and p_bonferroni (both over the
        pairs of models).
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
        p_values = [row[-1] for row in rows]
        frames.extend(
            (*row, *both)
            for row, *both in zip(rows, holm(p_values), bonferroni(p_values), strict=True)
        )
    text = dict.fromkeys(("model_a", "model_b", "test"), pl.String)
    names = ("difference", "statistic", "p", "p_holm", "p_bonferroni")
    numbers = dict.fromkeys(names, pl.Float64)
    return pl.DataFrame(frames, schema={**text, "n": pl.Int32, **numbers}, orient="row")


def bonferroni(p_values: list[float | None]) -> list[float | None]:
    """Multiply each p by how many there are, to at most 1; those that are None do not count."""
    n = sum(p is not None for p in p_values)
    return [None if p is None else min(1.0, p * n) for p in p_values]

"""Tests that several analyses share, safe where samples are few or all alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Outcome = tuple[float | None, float | None]
"""A statistic and its two-sided p; None where the test cannot be done."""

_ALIKE = 1e-12
_NONE: Outcome = (None, None)


def paired_t(a: ArrayLike, b: ArrayLike) -> Outcome:
    """Student's t test of paired samples of shape (n,)."""
    differences = np.asarray(a, float) - np.asarray(b, float)
    if len(differences) < 2 or np.ptp(differences) < _ALIKE:
        return _NONE
    return _outcome(stats.ttest_1samp(differences, 0))


def wilcoxon(a: ArrayLike, b: ArrayLike) -> Outcome:
    """Wilcoxon's signed-rank test of paired samples of shape (n,); ties of zero are dropped."""
    differences = np.asarray(a, float) - np.asarray(b, float)
    differences = differences[np.abs(differences) > _ALIKE]
    return _outcome(stats.wilcoxon(differences)) if len(differences) else _NONE


def welch_t(a: ArrayLike, b: ArrayLike) -> Outcome:
    """Welch's t test of independent samples."""
    one, other = np.asarray(a, float), np.asarray(b, float)
    if min(len(one), len(other)) < 2 or np.ptp(one) + np.ptp(other) < _ALIKE:
        return _NONE
    moments = [f(x) for x in (one, other) for f in (np.mean, lambda v: np.std(v, ddof=1), len)]
    return _outcome(stats.ttest_ind_from_stats(*moments, equal_var=False))


def mann_whitney(a: ArrayLike, b: ArrayLike) -> Outcome:
    """Mann and Whitney's U test of independent samples."""
    one, other = np.asarray(a, float), np.asarray(b, float)
    if min(len(one), len(other)) < 1 or np.ptp(np.concatenate([one, other])) < _ALIKE:
        return _NONE
    return _outcome(stats.mannwhitneyu(one, other))


def single_against_group(value: float, group: ArrayLike) -> Outcome:
    """T of one value against a small group of replicates, n - 1 degrees of freedom.

    References
    ----------
    Crawford & Howell 1998, The Clinical Neuropsychologist 12:482-486: t = (value - mean) /
    (sd * sqrt((n + 1) / n)).
    """
    members = np.asarray(group, float)
    n = len(members)
    if n < 2 or np.ptp(members) < _ALIKE:
        return _NONE
    t = (value - members.mean()) / (members.std(ddof=1) * np.sqrt((n + 1) / n))
    return float(t), float(2 * stats.t.sf(abs(t), n - 1))


def holm(p_values: list[float | None]) -> list[float | None]:
    """Adjust p for several tests; those that could not be done (None) do not count.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = largest
    return adjusted


def interval(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """2.5 % and 97.5 % quantiles of the values that are numbers; None without any."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def _outcome(result: tuple[float, float]) -> Outcome:
    statistic, p = float(result[0]), float(result[1])
    return (statistic, p) if np.isfinite(p) else _NONE

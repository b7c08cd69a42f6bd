"""Tests that several analyses share, safe where samples are few or all alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Outcome = tuple[float | None, float | None]
"""A statistic and its two-sided p; None where the test cannot be done."""

Standardised = tuple[float | None, float | None, float | None]
"""A mean in standard deviations, and both ends of its 95 % interval."""

_ALIKE = 1e-12
_NONE: Outcome = (None, None)


def paired_t(a: ArrayLike, b: ArrayLike) -> Outcome:
    """Student's t test of paired samples of shape (n,)."""
    return mean_t(np.asarray(a, float) - np.asarray(b, float))


def mean_t(differences: NDArray[np.float64], test_by_train: float = 0.0) -> Outcome:
    """Student's t of a mean of 0, corrected if the samples are folds that share training images.

    Parameters
    ----------
    differences : ndarray of shape (n,)
    test_by_train : float
        Test images by training images of a fold; 0 for independent samples. t is then mean /
        sqrt((1 / n + test_by_train) * variance), with n - 1 degrees of freedom.

    References
    ----------
    Nadeau & Bengio 2003, Machine Learning 52:239-281.
    """
    from scipy import stats

    if len(differences) < 2 or np.ptp(differences) < _ALIKE:
        return _NONE
    n = len(differences)
    t = differences.mean() / (differences.std(ddof=1) * np.sqrt(1 / n + test_by_train))
    return float(t), float(2 * stats.t.sf(abs(t), n - 1))


def wilcoxon(a: ArrayLike, b: ArrayLike) -> Outcome:
    """Wilcoxon's signed-rank test of paired samples of shape (n,); ties of zero are dropped."""
    from scipy import stats

    differences = np.asarray(a, float) - np.asarray(b, float)
    differences = differences[np.abs(differences) > _ALIKE]
    return _outcome(stats.wilcoxon(differences)) if len(differences) else _NONE


def mann_whitney(a: ArrayLike, b: ArrayLike) -> Outcome:
    """Mann and Whitney's U test of independent samples."""
    from scipy import stats

    one, other = np.asarray(a, float), np.asarray(b, float)
    if min(len(one), len(other)) < 1 or np.ptp(np.concatenate([one, other])) < _ALIKE:
        return _NONE
    return _outcome(stats.mannwhitneyu(one, other))


def sign_flips(differences: NDArray[np.float64], permutations: int, seed: int) -> Outcome:
    """Test if paired samples differ by swapping the two of each pair at random.

    All 2 ** n ways where these are not more than `permutations`, so that p is exact and its lowest
    value 2 / 2 ** n; else p = (1 + draws as far from 0) / (1 + permutations).

    Parameters
    ----------
    differences : ndarray of shape (n,)

    Returns
    -------
    statistic, p
        The statistic is the sum of the differences.

    References
    ----------
    Fisher 1935, The Design of Experiments, section 21; Phipson & Smyth 2010, Statistical
    Applications in Genetics and Molecular Biology 9:39.
    """
    known = differences[np.abs(differences) > _ALIKE]
    n, total = len(known), float(known.sum())
    if not n:
        return _NONE
    if n < 31 and 2**n <= permutations:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return total, float(np.mean(np.abs(signs @ known) >= abs(total) - _ALIKE))
    signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, (permutations, n))
    as_far = int((np.abs(signs @ known) >= abs(total) - _ALIKE).sum())
    return total, (1 + as_far) / (1 + permutations)


def single_against_group(value: float, group: ArrayLike) -> Outcome:
    """T of one value against a small group of replicates, n - 1 degrees of freedom.

    References
    ----------
    Crawford & Howell 1998, The Clinical Neuropsychologist 12:482-486: t = (value - mean) /
    (sd * sqrt((n + 1) / n)).
    """
    from scipy import stats

    members = np.asarray(group, float)
    n = len(members)
    if n < 2 or np.ptp(members) < _ALIKE:
        return _NONE
    t = (value - members.mean()) / (members.std(ddof=1) * np.sqrt((n + 1) / n))
    return float(t), float(2 * stats.t.sf(abs(t), n - 1))


def standardised(t: float | None, n: float, df: int) -> Standardised:
    """Return a mean in standard deviations (Cohen's d_z), with its 95 % interval.

    Parameters
    ----------
    t : float or None
        Of the mean, with `df` degrees of freedom.
    n : float
        The number of samples, or of as many independent ones as these are worth: d_z = t / sqrt(n).

    Returns
    -------
    d, low, high : float or None
        The values at which t would be the 97.5 % and the 2.5 % quantile of the noncentral t
        distribution; None without a t.

    References
    ----------
    Cumming & Finch 2001, Educational and Psychological Measurement 61:532-574.
    """
    from scipy import special

    if t is None:
        return None, None, None
    centres = (t, special.nctdtrinc(df, 0.975, t), special.nctdtrinc(df, 0.025, t))
    d, low, high = (float(x / np.sqrt(n)) if np.isfinite(x) else None for x in centres)
    return d, low, high


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

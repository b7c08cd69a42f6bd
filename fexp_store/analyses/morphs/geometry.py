"""Distances along a continuum and the noise about a straight line, from inner products alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST_LEVELS = 7
"""Of fewer levels, second differences tell too little of the noise: of five, p < .05 for 11 % of
linear codes."""

_ROUNDING = 2.0**-44  # squared, relative: seven times the error of numbers rounded to float32
_UPPER_END = 1.645 * 1.166  # normal quantile times the relative SD of the median's scale at n = 1
_MEDIAN_OF_NORMAL = 0.6744897501960817  # of the absolute value of a standard normal


@dataclass(frozen=True)
class Noise:
    """Noise of single responses, as second differences tell it.

    Parameters
    ----------
    power : ndarray of shape (n_identities,)
        Expected squared length of the noise in one response.
    dimensions : ndarray of shape (n_identities,)
        Over how many directions it spreads evenly: trace(S)**2 / trace(S**2) of its covariance S.
    """

    power: Array
    dimensions: Array


def step_distances(products: Array) -> Array:
    """Euclidean distance between neighbouring levels: (n_identities, n_levels - 1)."""
    own = np.einsum("ijj->ij", products)
    between = np.einsum("ijj->ij", products[:, :-1, 1:])
    return np.sqrt(np.maximum(own[:, 1:] + own[:, :-1] - 2 * between, 0))


def end_distances(products: Array) -> Array:
    """Euclidean distance between the two end points: (n_identities,)."""
    squared = products[:, 0, 0] + products[:, -1, -1] - 2 * products[:, 0, -1]
    return np.sqrt(np.maximum(squared, 0))


def relative_speeds(steps: Array, ends: Array, levels: Array) -> Array:
    """How fast responses change along the continuum; 1 everywhere for an exactly linear code.

    ``(|x[j + 1] - x[j]| / (l[j + 1] - l[j])) / (|x[n] - x[0]| / (l[n] - l[0]))``.

    Parameters
    ----------
    steps : ndarray of shape (..., n_levels - 1)
    ends : ndarray of shape (...,)
    levels : ndarray of shape (n_levels,)

    Returns
    -------
    ndarray of shape (..., n_levels - 1)
        NaN where the end points are alike.
    """
    whole = np.where(ends > 0, ends, np.nan)[..., None] / (levels[-1] - levels[0])
    return steps / np.diff(levels) / whole


def second_differences(levels: Array) -> Array:
    """Weights of each level but the ends against the line through its two neighbours.

    Each row has length 1, so that of noise which is independent from level to level a row leaves
    as much as there is in one level; of a linear code it leaves nothing.

    Returns
    -------
    ndarray of shape (n_levels - 2, n_levels)
    """
    weights = np.zeros((len(levels) - 2, len(levels)))
    for j in range(1, len(levels) - 1):
        before, here, after = levels[j - 1 : j + 2]
        share = (here - before) / (after - before)
        weights[j - 1, j - 1 : j + 2] = share - 1, 1, -share
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def noise(products: Array, levels: Array) -> Noise:
    """Estimate the noise of each identity's responses from their second differences.

    The power is the median over levels of their squared lengths, which one step does not inflate,
    divided by the median of chi squared over its mean (Wilson & Hilferty 1931, PNAS 17:684-688).
    The inner products between second differences scatter the more, the fewer directions the noise
    has: their variance is ``power**2 (1 + r**2) / dimensions`` about ``power r``, where r is the
    inner product of their weights. The median of the absolute deviations gives it, over all pairs
    of second differences of one identity that are not beside one another, of all identities; it is
    taken at the upper end of its 95 % interval, so that the null is rather too wide. No noise is
    less than the rounding of float32.

    Parameters
    ----------
    products : ndarray of shape (n_identities, n_levels, n_levels)
    levels : ndarray of shape (n_levels,)
    """
    weights = second_differences(levels)
    left = weights @ products @ weights.T
    power = np.median(np.einsum("ijj->ij", left), axis=1)
    rounding = _ROUNDING * np.einsum("ijj->ij", products).mean(axis=1)
    exact = power <= rounding
    one, other = np.triu_indices(len(weights), 2)
    overlap = (weights @ weights.T)[one, other]
    scale = np.where(exact, rounding, power)[:, None]
    scatter = np.abs(left[:, one, other] / scale - overlap) / np.sqrt(1 + overlap**2)
    uncertain = 1 + _UPPER_END / np.sqrt(scatter.size)
    spread = uncertain * np.median(scatter) / _MEDIAN_OF_NORMAL
    shared = float(np.clip(1 / max(spread, 1e-3) ** 2, 1, 1e6))
    return Noise(
        np.where(exact, rounding, power / (1 - 2 / (9 * shared)) ** 3),
        np.where(exact, 1.0, shared),
    )

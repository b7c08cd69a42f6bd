"""Is discrimination better where identification changes? A peak, tested against linear codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.morphs.continuum import Continuum
from fexp_store.analyses.morphs.geometry import (
    FEWEST_LEVELS,
    end_distances,
    noise,
    relative_speeds,
    step_distances,
)
from fexp_store.analyses.morphs.linear_codes import simulated_speeds

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Peak:
    """Discrimination along one continuum beside that of simulated linear codes.

    Parameters
    ----------
    speeds : ndarray of shape (n_identities, n_levels - 1)
        `geometry.relative_speeds` of each identity.
    null_speeds : ndarray of shape (n_simulations, n_levels - 1)
        Those of simulated linear codes, mean over identities; no simulations where none could be
        made.
    peaks : ndarray of shape (n_identities,)
        Speed where identification of the others changes, minus speed where it does not; NaN where
        it changes nowhere.
    null_peaks : ndarray of shape (n_simulations, n_identities)
    """

    speeds: Array
    null_speeds: Array
    peaks: Array
    null_peaks: Array

    @property
    def mean(self) -> float | None:
        """Mean of the peaks over the identities that have one."""
        return float(np.nanmean(self.peaks)) if self._known.any() else None

    @property
    def null_means(self) -> Array:
        """The same of each simulation; empty where there are none."""
        return (
            self.null_peaks[:, self._known].mean(axis=1) if self.mean is not None else np.empty(0)
        )

    @property
    def p(self) -> float | None:
        """One-sided p of `mean`."""
        return None if self.mean is None else chance(self.mean, self.null_means)

    @property
    def p_of_each(self) -> list[float | None]:
        """One-sided p of each identity's own peak."""
        return [
            chance(float(peak), null) if known else None
            for peak, null, known in zip(self.peaks, self.null_peaks.T, self._known, strict=True)
        ]

    @property
    def _known(self) -> NDArray[np.bool_]:
        return np.isfinite(self.peaks)


def chance(value: float, null: Array) -> float | None:
    """P of a value among simulated ones: (1 + those as large) / (1 + all); None without any.

    References
    ----------
    Phipson & Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9:39.
    """
    return float((1 + (null >= value).sum()) / (1 + len(null))) if len(null) else None


def change_weights(second: Array) -> Array:
    """Where the identification of all other identities changes.

    Parameters
    ----------
    second : ndarray of shape (n_levels, n_identities)

    Returns
    -------
    ndarray of shape (n_identities, n_levels - 1)
        Of each identity: absolute change, from level to level, of the proportion of the others
        that answered the second expression, as part of the sum of all changes. NaN where there
        is no change, and where there are no others.
    """
    others = second.sum(axis=1, keepdims=True) - second
    change = np.abs(np.diff(others, axis=0)).T
    total = change.sum(axis=1, keepdims=True)
    return np.where(total > 0, change / np.where(total > 0, total, 1), np.nan)


def contrast(weights: Array) -> Array:
    """Weighted mean where identification changes minus that where it does not.

    ``w - (1 - w) / (n - 1)`` of n pairs of neighbours: if identification changes within one pair,
    this is the speed there minus the mean speed elsewhere.
    """
    return weights - (1 - weights) / (weights.shape[1] - 1)


def peak(continuum: Continuum, simulations: int, rng: np.random.Generator) -> Peak:
    """Compare discrimination with identification, and with linear codes.

    The place of an identity's peak is told by the answers to all others, so that the noise in its
    own responses decides nothing. Continua of fewer than `geometry.FEWEST_LEVELS` levels, or with
    an identity whose end points are alike, have no simulations.
    """
    products, levels = continuum.products, continuum.levels
    ends = end_distances(products)
    speeds = relative_speeds(step_distances(products), ends, levels)
    n_pairs = len(levels) - 1
    if len(levels) < FEWEST_LEVELS or not ends.all():
        nothing = np.full(len(speeds), np.nan)
        return Peak(speeds, np.empty((0, n_pairs)), nothing, np.empty((0, len(speeds))))
    weights = contrast(change_weights(continuum.second))
    null = simulated_speeds(products, levels, noise(products, levels), simulations, rng)
    return Peak(
        speeds=speeds,
        null_speeds=null.mean(axis=1),
        peaks=(speeds * weights).sum(axis=1),
        null_peaks=np.einsum("sij,ij->si", null, weights),
    )

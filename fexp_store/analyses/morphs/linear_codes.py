"""Simulated linear codes: what chance and noise make of morphs that lie on a straight line.

The response to level l is simulated as ``(1 - l) a + l b`` of an identity's own responses a and b
to its end points, plus noise of the size that its second differences tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.morphs.geometry import (
    Noise,
    end_distances,
    relative_speeds,
    second_differences,
)

Array = NDArray[np.float64]
_MEDIAN_OF_NORMAL = 0.6744897501960817


def simulated_speeds(
    products: Array, levels: Array, noise: Noise, simulations: int, rng: np.random.Generator
) -> Array:
    """Relative speeds (`geometry.relative_speeds`) of simulated linear codes.

    Only lengths and angles matter, so that neither units nor responses are made. Along the line
    from a to b, noise is normal with variance power / dimensions. Across it, its squared length is
    chi squared in dimensions - 1 directions, and the cosine between the noise of two levels normal
    with variance 1 / (dimensions - 1), cut at -1 and 1. The measured distance of the end points
    holds noise already, which is taken off.

    Parameters
    ----------
    products : ndarray of shape (n_identities, n_levels, n_levels)
    levels : ndarray of shape (n_levels,)

    Returns
    -------
    ndarray of shape (simulations, n_identities, n_levels - 1)
    """
    shape = (simulations, len(products), len(levels))
    share = (levels - levels[0]) / (levels[-1] - levels[0])
    length = np.sqrt(np.maximum(end_distances(products) ** 2 - 2 * noise.power, 0))
    one = noise.power / noise.dimensions
    across = np.maximum(noise.dimensions - 1, 1e-9)
    along = length[:, None] * share + np.sqrt(one)[:, None] * rng.normal(size=shape)
    squared = 2 * one[:, None] * rng.standard_gamma(across[:, None] / 2, size=shape)
    cosine = rng.normal(size=shape) / np.sqrt(np.maximum(across, 1))[:, None]
    np.clip(cosine, -1, 1, out=cosine)
    ahead = np.roll(squared, -1, axis=2)  # of the last level, the first: for the end points
    apart = np.maximum(squared + ahead - 2 * cosine * np.sqrt(squared * ahead), 0)
    steps = np.sqrt(np.diff(along, axis=2) ** 2 + apart[..., :-1])
    ends = np.sqrt((along[..., -1] - along[..., 0]) ** 2 + apart[..., -1])
    return relative_speeds(steps, ends, levels)


def simulated_identification(
    decisions: Array, levels: Array, simulations: int, rng: np.random.Generator
) -> Array:
    """Identification curves of simulated linear codes.

    A linear classifier's decision value of a linear code is itself linear in the level, so that it
    is simulated between those of the identity's end points, with normal noise whose SD is the
    median absolute second difference of its decision values over .6745.

    Parameters
    ----------
    decisions : ndarray of shape (n_levels, n_identities)
        Positive for the second expression.
    levels : ndarray of shape (n_levels,)

    Returns
    -------
    ndarray of shape (simulations, n_levels)
        Proportions of identities.
    """
    share = ((levels - levels[0]) / (levels[-1] - levels[0]))[:, None]
    straight = (1 - share) * decisions[0] + share * decisions[-1]
    left = np.abs(second_differences(levels) @ decisions)
    sd = np.median(left, axis=0) / _MEDIAN_OF_NORMAL
    curves = np.empty((simulations, len(levels)))
    for i in range(simulations):
        curves[i] = (straight + sd * rng.normal(size=straight.shape) > 0).mean(axis=1)
    return curves

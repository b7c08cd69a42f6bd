"""How many units chance alone would select: labels shuffled, as products of matrices."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.selectivity.anova import ROUNDING, Design, sums_of_squares
from fexp_store.analyses.selectivity.criterion import other_than

_BATCH = 250  # permutations at a time, which bounds memory


def null_counts(
    blocks: Iterable[NDArray[np.float32]],
    design: Design,
    factor: str,
    limits: tuple[float, float],
    permutations: int,
    seed: int,
) -> NDArray[np.float64]:
    """Count the units that are selective once labels of the factor are shuffled.

    Labels are shuffled within each level of the other factor, in the same way for all units. The
    other factor's sum of squares stays as it is, and what is left, W, is divided between the
    factor (S) and error (W - S). So each condition on F is one on S alone, and S takes one product
    of units x stimuli by stimuli x permutations for each level of the factor. A unit whose error is
    0 is no exception: shuffled, its factor's effect goes into the error.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_stimuli, n_units of the block), float32
    design : Design
    factor : str
    limits : tuple of float
        F of the factor must be above the first, F of the other factor below the second.
    permutations, seed : int

    Returns
    -------
    ndarray of shape (permutations,), float64

    References
    ----------
    Anderson & ter Braak 2003, J. Stat. Comput. Simul. 73:85 (restricted permutation).
    """
    cells = design.cells if factor == "expression" else design.cells.T
    orders = _shuffles(cells.shape, permutations, seed)
    counts = np.zeros(permutations)
    for values in blocks:
        shares, low, high = _standardised(values, design, factor, limits)
        x = shares[:, cells.ravel()]
        for start in range(0, permutations, _BATCH):
            batch = orders[:, start : start + _BATCH]
            s = np.zeros((len(x), batch.shape[1]), np.float32)
            for level in range(cells.shape[1]):
                s += np.square(x @ (batch == level).astype(np.float32))
            s /= len(cells)
            selected = (s > low[:, None]) & (s <= high[:, None])
            counts[start : start + _BATCH] += selected.sum(axis=0)
    return counts


def _shuffles(shape: tuple[int, ...], permutations: int, seed: int) -> NDArray[np.int16]:
    """Levels of the factor by cell and permutation, shape (n_cells, permutations)."""
    rng = np.random.default_rng(seed)
    labels = np.broadcast_to(np.arange(shape[1], dtype=np.int16), (permutations, *shape))
    return rng.permuted(labels, axis=2).reshape(permutations, -1).T


def _standardised(
    values: NDArray[np.float32], design: Design, factor: str, limits: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Give each unit W = 1 and no effect of the other factor, and the bounds of S if selective."""
    other = other_than(factor)
    sums = sums_of_squares(values, design)
    left = sums[f"ss_{factor}"] + sums["ss_error"]
    varies = left > ROUNDING * sums["ss_total"]
    x = values.T.astype(np.float64)
    for level in design.cells if other == "identity" else design.cells.T:
        x[:, level] -= x[:, level].mean(axis=1, keepdims=True)
    x /= np.sqrt(np.where(varies, left, np.inf))[:, None]
    df, df_error = design.df, design.df["error"]
    needed = limits[0] * df[factor] / df_error
    allowed = limits[1] * df[other] / df_error
    low = np.where(varies, needed / (1 + needed), np.inf)
    high = 1 - sums[f"ss_{other}"] / np.where(varies, left, 1) / allowed
    high[sums[f"ss_{other}"] == 0] = np.inf  # without error too, where rounding takes S above 1
    return x.astype(np.float32), low, high

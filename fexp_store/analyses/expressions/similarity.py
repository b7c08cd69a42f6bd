"""How alike two confusion matrices are: correlations over cells, and p by relabelling."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.expressions.corrected import (
    Table,
    corrected_similarity,
    row_normalised,
)
from fexp_store.analyses.resampling import Interval

STATISTICS = ("pearson", "spearman", "kendall")


@dataclass(frozen=True)
class Similarity:
    """One correlation of two confusion matrices.

    Parameters
    ----------
    cells : {"all", "errors"}
        Errors are the cells off the diagonal.
    statistic : {"pearson", "spearman", "kendall"}
    value : float or None
        None where a matrix is constant over these cells.
    corrected, low, high : float or None
        Pearson's r without the noise of few answers, and its 95 % interval over identities, see
        `corrected_similarity`; None for rank correlations, whose noise is not known.
    p : float or None
        Proportion of all relabellings whose correlation is as high (one-sided).
    n_cells : int
    """

    cells: str
    statistic: str
    value: float | None
    corrected: float | None
    low: float | None
    high: float | None
    p: float | None
    n_cells: int


def confusion_counts(depicted: list[str], responses: list[str], labels: list[str]) -> pl.DataFrame:
    """Count answers.

    Returns
    -------
    DataFrame
        depicted, response, count and proportion (of the row; null for a row without images) for
        every pair of labels, in their order.
    """
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int32)
    np.add.at(counts, ([place[x] for x in depicted], [place[x] for x in responses]), 1)
    sums = np.repeat(counts.sum(axis=1), len(labels))
    return pl.DataFrame(
        {
            "depicted": np.repeat(labels, len(labels)).tolist(),
            "response": labels * len(labels),
            "count": counts.ravel(),
        }
    ).with_columns(
        pl.when(pl.Series(sums) > 0).then(pl.col("count") / pl.Series(sums)).alias("proportion")
    )


def cells_of(n: int) -> dict[str, NDArray[np.bool_]]:
    """Which cells of a matrix of n expressions are correlated: all, and errors only."""
    return {"all": np.ones((n, n), bool), "errors": ~np.eye(n, dtype=bool)}


def similarities_of(one: Table, other: Table, by_identity: Table | None = None) -> list[Similarity]:
    """Correlate two confusion matrices, rows normalised, over all cells and over errors only.

    p is that of a quadratic assignment test: the expressions of one matrix are relabelled, rows
    and columns together, in all n! ways (720 for six), so that hits stay hits. It asks whether
    the same expressions are confused, not whether accuracy is above chance, and is our choice:
    the study reports correlations alone.

    Parameters
    ----------
    one, other : ndarray of shape (n_expressions, n_expressions)
        Counts or proportions: depicted by response, in the same order.
    by_identity : ndarray of shape (n_people, n_expressions, n_expressions), optional
        The counts that `one` is the sum of, see `identity_tables`; without, no intervals.

    Returns
    -------
    list of Similarity
        Three statistics over all cells, then over errors.

    References
    ----------
    Hubert & Schultz 1976, British Journal of Mathematical and Statistical Psychology 29:190-241.
    """
    one, other = row_normalised(one), row_normalised(other)
    n = len(one)
    orders = np.array(list(permutations(range(n))))
    relabelled = one[orders[:, :, None], orders[:, None, :]]
    found = []
    for cells, mask in cells_of(n).items():
        noiseless = None
        if by_identity is not None:
            noiseless = corrected_similarity(by_identity, other, mask)
        for statistic in STATISTICS:
            values = _correlations(relabelled[:, mask], other[mask], statistic)
            known = not np.isnan(values[0])
            # The first order is the identity; rounding must not set equal correlations apart.
            p = float(np.mean(values >= values[0] - 1e-12)) if known else None
            value = float(values[0]) if known else None
            corrected: float | None = None
            ends: Interval = (None, None)
            if noiseless is not None and statistic == "pearson" and known:
                corrected, ends = noiseless.value, noiseless.interval
            found.append(Similarity(cells, statistic, value, corrected, *ends, p, int(mask.sum())))
    return found


def _correlations(rows: Table, other: Table, statistic: str) -> NDArray[np.float64]:
    """Correlate each of `rows`, of shape (n_rows, n_cells), with `other`, of shape (n_cells,)."""
    if statistic == "kendall":  # tau-b is the correlation of the signs of all differences
        first, second = np.triu_indices(len(other), 1)
        signs = np.sign(rows[:, first] - rows[:, second])
        return _cosines(signs, np.sign(other[first] - other[second]))
    if statistic == "spearman":
        from scipy import stats

        rows, other = stats.rankdata(rows, axis=1), stats.rankdata(other)
    centred = rows - rows.mean(axis=1, keepdims=True)
    return _cosines(centred, other - other.mean())


def _cosines(rows: Table, other: Table) -> NDArray[np.float64]:
    norms = np.sqrt((rows**2).sum(axis=1) * (other**2).sum())
    flat = norms < 1e-12
    return np.where(flat, np.nan, rows @ other / np.where(flat, 1, norms))

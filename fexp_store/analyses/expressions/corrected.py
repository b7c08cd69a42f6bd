"""Similarity of confusion matrices without the noise of few answers, and its interval over people.

A correlation of a matrix that was counted from few answers is too low: chance adds to the spread
of its cells. Resampling adds that chance once more, so that percentile and BCa intervals lie below
the truth. What chance adds is known from how much the matrix changes when a person is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.resampling import Interval, jackknife_interval

Table = NDArray[np.float64]
LEAST_SIGNAL = 0.05
"""Below this part of a matrix's variance, what is not chance is too little to correct for."""


@dataclass(frozen=True)
class Corrected:
    """Pearson's r of a confusion matrix with a fixed one, without the noise of few answers.

    Parameters
    ----------
    value : float
        May be a little above 1.
    left_out : ndarray of shape (n_people,)
        The same with each identity left out, for the jackknife.
    """

    value: float
    left_out: NDArray[np.float64]

    @property
    def interval(self) -> Interval:
        """95 % over identities: Student's t with the jackknife's error, cut at -1 and 1."""
        low, high = jackknife_interval(self.value, self.left_out)
        if low is None or high is None:
            return None, None
        return float(np.clip(low, -1, 1)), float(np.clip(high, -1, 1))


def row_normalised(table: Table) -> Table:
    """Divide each row of a confusion matrix by its sum; a row of zeros stays.

    Parameters
    ----------
    table : ndarray of shape (..., n_expressions, n_expressions)
    """
    sums = table.sum(axis=-1, keepdims=True)
    return np.divide(table, sums, out=np.zeros_like(table, dtype=float), where=sums > 0)


def identity_tables(
    depicted: Sequence[str],
    responses: Sequence[str],
    identities: Sequence[str],
    labels: Sequence[str],
) -> Table:
    """Count the answers to each identity.

    Returns
    -------
    ndarray of shape (n_people, n_labels, n_labels)
        Identities in the order of their names; depicted by response.
    """
    place = {label: i for i, label in enumerate(labels)}
    people, who = np.unique(np.asarray(identities), return_inverse=True)
    tables = np.zeros((len(people), len(place), len(place)))
    shown, answered = (np.array([place[x] for x in given]) for given in (depicted, responses))
    np.add.at(tables, (who, shown, answered), 1)
    return tables


def corrected_similarity(tables: Table, other: Table, mask: NDArray[np.bool_]) -> Corrected | None:
    """Correlate a matrix of counted answers with another one, less the noise of few answers.

    With x the cells of the pooled, row-normalised matrix and y those of the other, both less their
    mean, r = <x, y> / sqrt((<x, x> - noise) <y, y>): Spearman's correction, whose noise is the sum
    of the jackknife variances of x over identities. The other matrix counts as without noise.

    Parameters
    ----------
    tables : ndarray of shape (n_people, n_expressions, n_expressions)
        Counts of the answers to each identity.
    other : ndarray of shape (n_expressions, n_expressions)
    mask : ndarray of shape (n_expressions, n_expressions), bool
        The cells that are correlated.

    Returns
    -------
    Corrected or None
        None for fewer than two people, for constant cells, and where nearly all is noise.

    References
    ----------
    Spearman 1904, The American Journal of Psychology 15:72-101; Efron & Stein 1981, The Annals of
    Statistics 9:586-596.
    """
    value, left_out = corrected_similarities(tables, other, mask)
    return None if np.isnan(value) else Corrected(float(value), left_out)


def corrected_similarities(
    tables: Table, other: Table, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Do what `corrected_similarity` does for many tables of the same identities at once.

    Parameters
    ----------
    tables : ndarray of shape (..., n_people, n_expressions, n_expressions)

    Returns
    -------
    values : ndarray of shape (...,)
        NaN where `corrected_similarity` is None.
    left_out : ndarray of shape (..., n_people)
    """
    people = tables.shape[-3]
    y = row_normalised(other)[mask]
    y = y - y.mean()
    scale = np.sqrt(y @ y)
    if people < 2 or scale < 1e-6:
        return np.full(tables.shape[:-3], np.nan), np.full(tables.shape[:-2], np.nan)
    pooled = tables.sum(axis=-3)
    x = row_normalised(pooled)[..., mask]
    left = row_normalised(pooled[..., None, :, :] - tables)[..., mask]
    x, left = (z - z.mean(axis=-1, keepdims=True) for z in (x, left))
    total = (x**2).sum(axis=-1)
    about = ((left - left.mean(axis=-2, keepdims=True)) ** 2).sum(axis=(-2, -1))
    signal = total - (people - 1) / people * about
    known = (signal > LEAST_SIGNAL * total) & (total > 1e-12)
    signal = np.where(known, signal, 1.0)
    # Leaving one out adds the same noise to each of these sums; their mean is put right.
    spread = (left**2).sum(axis=-1)
    signals = signal[..., None] + spread - spread.mean(axis=-1, keepdims=True)
    signals = np.maximum(signals, np.where(known, LEAST_SIGNAL * total, 1.0)[..., None])
    values = np.where(known, x @ y / (np.sqrt(signal) * scale), np.nan)
    return values, left @ y / (np.sqrt(signals) * scale)

"""Which units are selective among some of the people, for many groups of people at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.selectivity.anova import ROUNDING, Design
from fexp_store.analyses.selectivity.criterion import Criterion, f_limits

_UNITS = 2048  # at a time, which bounds memory
_CONSTANT = 1e-24  # of the squares: what subtracting a mean leaves of equal responses

Members = NDArray[np.bool_]
Truths = NDArray[np.bool_]


def selected_in(
    blocks: Iterable[NDArray[np.float32]],
    design: Design,
    members: Members,
    criterion: Criterion,
    seed: int,
) -> Iterator[tuple[Truths, Truths, Truths]]:
    """Select units for expression in each group of people, in one pass over a layer.

    Deviations from the person's mean hold the effect of expression and the error, and are additive
    over people: their squares sum to W, and their sums by expression, over the people of a group,
    give S; the error is W - S. So a group takes a product of units x people by people x groups for
    each expression, and for the person's means and their squares.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_stimuli, n_units of the block), float32
    design : Design
    members : ndarray of shape (n_people, n_groups), bool
        Two people or more in each group.
    criterion : Criterion
        With its alpha, uncorrected, for the degrees of freedom of each group.
    seed : int
        Of the shuffles: one for each group.

    Yields
    ------
    tuple of three ndarrays
        For some units: whether each varies at all, shape (n_units,); whether it is selective in
        each group, shape (n_units, n_groups); and the same once labels are shuffled within people.
    """
    shuffled = _shuffled(design, members, seed)
    needed, allowed = _limits(design, members, criterion)
    for block in blocks:
        for start in range(0, block.shape[1], _UNITS):
            some = block[:, start : start + _UNITS].astype(np.float64)
            x = np.ascontiguousarray(some[design.cells.T].swapaxes(1, 2))
            x -= x.mean(axis=(0, 2))[:, None]
            means = x.mean(axis=0)
            x -= means
            sums = _Sums(x, means, members.astype(np.float64))
            effect = sums.effect_of(of_level @ sums.members for of_level in x)
            flat = x.swapaxes(0, 1).reshape(x.shape[1], -1).astype(np.float32)
            chance = sums.effect_of(flat @ of_level for of_level in shuffled)
            yield (
                np.ptp(some, axis=0) > 0,
                *(sums.selected(s, needed, allowed) for s in (effect, chance)),
            )


def _shuffled(design: Design, members: Members, seed: int) -> list[NDArray[np.float32]]:
    """Shuffle labels within people, anew in each group; whose and which level, by expression.

    Returns
    -------
    list of ndarray of shape (n_expressions x n_people, n_groups), float32
        1 where a person is of the group and the response counts as one to the expression.
    """
    people, expressions = design.cells.shape
    ordered = np.broadcast_to(np.arange(expressions), (members.shape[1], people, expressions))
    labels = np.random.default_rng(seed).permuted(ordered, axis=2)
    labels[~members.T] = -1
    labels = labels.T.reshape(-1, members.shape[1])
    return [(labels == level).astype(np.float32) for level in range(expressions)]


class _Sums:
    """Sums of squares of some units in every group, each of shape (n_units, n_groups)."""

    def __init__(
        self, x: NDArray[np.float64], means: NDArray[np.float64], members: NDArray[np.float64]
    ) -> None:
        self.members, self._n = members, members.sum(axis=0)
        within = np.square(x).sum(axis=0)
        responses = (within + len(x) * np.square(means)) @ members
        within = within @ members
        self._within = np.where(within > _CONSTANT * responses, within, 0)
        between = np.square(means) @ members - np.square(means @ members) / self._n
        between = len(x) * np.maximum(between, 0)
        self._floor = ROUNDING * (self._within + between)
        self._identity = np.where(between > self._floor, between, 0)

    def effect_of(self, sums: Iterable[NDArray[np.floating]]) -> NDArray[np.float64]:
        """Return the sum of squares of expression, of the sums of deviations by expression."""
        squares = sum(np.square(by_level.astype(np.float64)) for by_level in sums)
        effect = np.minimum(squares / self._n, self._within)
        return np.where(effect > self._floor, effect, 0)

    def selected(
        self, effect: NDArray[np.float64], needed: NDArray[np.float64], allowed: NDArray[np.float64]
    ) -> Truths:
        """Return which units are selective in which group."""
        error = self._within - effect
        error[error <= self._floor] = 0
        # Without an effect F is 0 even where the error is.
        absent = (self._identity == 0) | (self._identity < allowed * error)
        return np.asarray((effect > needed * error) & absent)


def _limits(
    design: Design, members: Members, criterion: Criterion
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by group what the ratios of sums of squares to that of the error must be."""
    sizes = members.sum(axis=0)
    by_size = {}
    for n in np.unique(sizes).tolist():
        df = Design(design.cells[:n]).df
        least, most = f_limits(criterion, df, "expression", criterion.alpha)
        factors = (least * df["expression"], most * df["identity"])
        by_size[n] = tuple(f / df["error"] for f in factors)
    needed, allowed = np.array([by_size[n] for n in sizes.tolist()]).T
    return needed, allowed

"""Which units are selective on training images alone, for any number of folds and labellings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.reading.finite import read_blocks
from fexp_store.analyses.selectivity.anova import ROUNDING, Design
from fexp_store.analyses.selectivity.criterion import Criterion, f_limits
from fexp_store.analyses.threads import in_threads
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import registered
from fexp_store.warehouse.place import Place

_SUMS_BYTES = 8 << 20  # of sums over levels in a thread, which bounds memory


@dataclass(frozen=True)
class Nested:
    """Units that are selective on the training images of each labelling and fold.

    Parameters
    ----------
    selective : ndarray of shape (n_labellings, n_folds, ceil(n_units / 8)), uint8
        As bits (``numpy.packbits``).
    varying : ndarray of shape (n_folds, ceil(n_units / 8)), uint8
        Units that respond differently to some training images.
    """

    selective: NDArray[np.uint8]
    varying: NDArray[np.uint8]


def select_in_folds(
    wh: Warehouse,
    place: Place,
    design: Design,
    levels: NDArray[np.int8],
    held_out: Sequence[NDArray[np.intp]],
    criterion: Criterion,
) -> Nested:
    """Select units that respond to expression and not to identity, on training identities.

    The rule is that of ``fexp select`` without a correction, for the factor expression, on the
    images of the identities that are not held out. One pass over the layer serves all folds and
    labellings: the sums over the levels of each labelling are products of matrices, those of a
    fold's training images the sums over all images less those over its test images.

    Parameters
    ----------
    place : Place
        A layer for a set with one image per expression and identity.
    design : Design
        Of all images of the set.
    levels : ndarray of shape (n_labellings, n_images), int
        Level of expression of each image, from 0; each identity has each level once.
    held_out : sequence of ndarray of int
        For each fold, the rows of ``design.cells`` (identities) that it leaves out; none of them
        in a fold that leaves out nobody.
    criterion : Criterion

    Returns
    -------
    Nested
    """
    n_levels = design.cells.shape[1]
    tests = [design.cells[identities].ravel() for identities in held_out]
    step = max(8, _SUMS_BYTES // (8 * len(levels) * n_levels))
    selective: list[NDArray[np.uint8]] = []
    varying: list[NDArray[np.uint8]] = []

    def select(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        # Around a value of the unit itself nothing cancels, and a constant unit is exactly 0.
        x = values.astype(np.float64) - values[0]
        chosen, varies = _select(x, design, levels, tests, held_out, criterion)
        # Bits of a unit are kept together until all units are there: blocks are of any size.
        return np.packbits(chosen.reshape(-1, len(x.T)).T, axis=1), np.packbits(varies.T, axis=1)

    with wh.bar(f"Selecting units of {place}") as started:
        advance = started(registered(wh, place.network).layer(place.layer).units)
        for block in read_blocks(wh, place):
            starts = range(0, block.values.shape[1], step)
            portions = (block.values[:, i : i + step] for i in starts)
            for chosen, varies in in_threads(select, portions):
                selective.append(chosen)
                varying.append(varies)
            advance(block.values.shape[1])
    shape = (len(levels), len(tests), -1)
    count = len(levels) * len(tests)
    return Nested(
        _by_row(np.concatenate(selective), count).reshape(shape),
        _by_row(np.concatenate(varying), len(tests)),
    )


def _by_row(by_unit: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Turn bits of shape (n_units, ceil(count / 8)) into (count, ceil(n_units / 8))."""
    columns = (np.unpackbits(by_unit[:, i : i + 1], axis=1) for i in range(by_unit.shape[1]))
    return np.concatenate([np.packbits(column.T, axis=1) for column in columns])[:count]


def _select(
    x: NDArray[np.float64],
    design: Design,
    levels: NDArray[np.int8],
    tests: Sequence[NDArray[np.intp]],
    held_out: Sequence[NDArray[np.intp]],
    criterion: Criterion,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Select among the units of `x`, of shape (n_images, n_units)."""
    n_labellings, n_units = len(levels), x.shape[1]
    n_identities, n_levels = design.cells.shape
    chosen = np.zeros((n_labellings, len(tests), n_units), dtype=bool)
    varies = np.zeros((len(tests), n_units), dtype=bool)
    all_sums = _level_sums(x, levels, n_levels)
    by_identity = np.stack([x[cells].sum(axis=0) for cells in design.cells])
    squares = np.einsum("iu,iu->u", x, x)
    for fold, (test, left_out) in enumerate(zip(tests, held_out, strict=True)):
        n = n_identities - len(left_out)
        df = {"expression": n_levels - 1, "identity": n - 1, "error": (n_levels - 1) * (n - 1)}
        sums = all_sums - _level_sums(x[test], levels[:, test], n_levels)
        remaining = np.delete(by_identity, left_out, axis=0)
        correction = remaining.sum(axis=0) ** 2 / (n * n_levels)
        training = squares - np.einsum("iu,iu->u", x[test], x[test])
        total = training - correction
        varies[fold] = total > ROUNDING * training
        floor = ROUNDING * total
        ss_identity = _above(np.square(remaining).sum(axis=0) / n_levels - correction, floor)
        ss = _above(np.square(sums).sum(axis=1) / n - correction, floor)
        ss_error = _above(total - ss_identity - ss, floor)
        least, most = f_limits(criterion, df, "expression", criterion.alpha)
        ms_error = ss_error / df["error"]
        selective = ss > least * df["expression"] * ms_error
        selective &= (ss_identity < most * df["identity"] * ms_error) | (ss_identity == 0)
        chosen[:, fold] = selective & varies[fold]
    return chosen, varies


def _above(sums: NDArray[np.float64], floor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take what is rounding for 0."""
    return np.where(sums > floor, sums, 0)


def _level_sums(
    x: NDArray[np.float64], levels: NDArray[np.int8], n_levels: int
) -> NDArray[np.float64]:
    """Sum over the images of each level: shape (n_labellings, n_levels, n_units)."""
    n_labellings = len(levels)
    is_level = levels[:, None, :] == np.arange(n_levels)[:, None]
    product = is_level.reshape(n_labellings * n_levels, -1).astype(np.float64) @ x
    return np.asarray(product.reshape(n_labellings, n_levels, -1))

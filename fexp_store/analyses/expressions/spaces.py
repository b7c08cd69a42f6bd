"""Spaces in which images are compared: some units of a layer, and inner products over them.

A classifier of principal components needs nothing of its images but their inner products, so that
any number of choices of units (one per fold and shuffle) costs a few passes over the layer and a
matrix of images x images each, however many units there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.threads import in_threads
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place

Rows = NDArray[np.intp]
Bits = NDArray[np.uint8]
"""Whether each unit of a layer is chosen, eight in a byte (``numpy.packbits``)."""

PRODUCT_BYTES = 256 << 20
"""What inner products take at a time; more spaces take further passes over the layer."""

_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Images:
    """Images that are compared: rows of the matrices of one layer for some sets, in this order.

    Parameters
    ----------
    places : tuple of Place
        The layer for each set.
    rows : tuple of ndarray of int
        Of each set's matrix.
    """

    places: tuple[Place, ...]
    rows: tuple[Rows, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self.rows))


@dataclass(frozen=True)
class Space:
    """Some units, and the images that are compared in them.

    Parameters
    ----------
    units : ndarray of shape (ceil(n_units / 8),), uint8
    images : ndarray of shape (n,), int
        `Images` that are compared with one another.
    others : ndarray of shape (m,), int
        `Images` that are compared with those alone.
    scaled_by : ndarray of int, optional
        `Images` over which each unit is given a standard deviation of 1 (population SD; a constant
        unit stays), as scikit-learn's ``StandardScaler`` does.
    """

    units: Bits
    images: Rows
    others: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    scaled_by: Rows | None = None

    @property
    def n_units(self) -> int:
        """How many units it has."""
        return int(np.bitwise_count(self.units).sum())

    def positions(self, images: Rows) -> Rows:
        """Return where images are among those of the space and, after them, the others."""
        here = np.concatenate([self.images, self.others])
        order = np.argsort(here)
        return order[np.searchsorted(here, images, sorter=order)]

    @property
    def n_bytes(self) -> int:
        """What its products take."""
        return 8 * len(self.images) * (len(self.images) + len(self.others))


@dataclass(frozen=True)
class Products:
    """Inner products over the units of a space, around any one point.

    Parameters
    ----------
    images : ndarray of shape (n, n), float64
    others : ndarray of shape (m, n), float64
    """

    images: NDArray[np.float64]
    others: NDArray[np.float64]

    def between(self, rows: Rows, columns: Rows) -> NDArray[np.float64]:
        """Return products of images (or, after them, others) with images."""
        n = len(self.images)
        found = np.empty((len(rows), len(columns)))
        inside = rows < n
        found[inside] = self.images[np.ix_(rows[inside], columns)]
        found[~inside] = self.others[np.ix_(rows[~inside] - n, columns)]
        return found


def as_bits(unit_ids: Sequence[int] | NDArray[np.integer], n_units: int) -> Bits:
    """Return of each unit of a layer whether it is one of some."""
    chosen = np.zeros(n_units, dtype=bool)
    chosen[np.asarray(unit_ids, dtype=np.intp)] = True
    return np.packbits(chosen)


def as_ids(bits: Bits) -> NDArray[np.int32]:
    """Return the unit_ids of chosen units in ascending order."""
    return np.flatnonzero(np.unpackbits(bits)).astype(np.int32)


def products_of(values: NDArray[np.floating]) -> Products:
    """Return the inner products of images in memory, of shape (n_images, n_units)."""
    x = values.astype(np.float64).T
    x -= x.mean(axis=1, keepdims=True)
    space = Space(np.empty(0, np.uint8), np.arange(x.shape[1]))
    products = _empty(space)
    _add(x, space, products)
    return _whole(products)


def compare_in(
    wh: Warehouse, images: Images, spaces: Sequence[Space], *, centred: bool = True
) -> Iterator[tuple[range, list[Products]]]:
    """Compute the inner products of the images of each space.

    Activations are read block by block of units.

    Parameters
    ----------
    centred : bool
        Take each unit's mean over all images off: whoever centres inner products finds the same,
        and nothing cancels. Otherwise they are around 0.

    Yields
    ------
    range, list of Products
        Some of the spaces, by their numbers, and their products: as many as `PRODUCT_BYTES` hold.
    """
    start = 0
    while start < len(spaces):
        stop, size = start, 0
        while stop < len(spaces) and (stop == start or size + spaces[stop].n_bytes < PRODUCT_BYTES):
            size += spaces[stop].n_bytes
            stop += 1
        yield range(start, stop), _compare(wh, images, spaces[start:stop], centred)
        start = stop


def _compare(
    wh: Warehouse, images: Images, spaces: Sequence[Space], centred: bool
) -> list[Products]:
    found = [_empty(space) for space in spaces]
    together = np.bitwise_or.reduce([space.units for space in spaces])
    for x, unit_ids in _blocks(wh, images, as_ids(together)):
        if centred:
            x -= x.mean(axis=1, keepdims=True)

        def add(
            space: Space,
            products: Products,
            x: NDArray[np.float64] = x,
            unit_ids: NDArray[np.int32] = unit_ids,
        ) -> None:
            chosen = x[_has(space.units, unit_ids)]
            if space.scaled_by is not None:
                chosen = _scaled(chosen, space.scaled_by)
            _add(chosen, space, products)

        for _ in in_threads(add, spaces, found):
            pass
    return [_whole(products) for products in found]


def _blocks(
    wh: Warehouse, images: Images, unit_ids: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int32]]]:
    """Read units in blocks: values of shape (n_units, n_images), and unit_ids."""
    step = max(1, _BLOCK_BYTES // (8 * images.count))
    for start in range(0, len(unit_ids), step):
        portion = unit_ids[start : start + step]
        parts = [wh.matrix(*place, units=portion.tolist()).values for place in images.places]
        read = [part[rows].T for part, rows in zip(parts, images.rows, strict=True)]
        x = np.concatenate(read, axis=1, dtype=np.float64)
        yield x, portion


def _has(units: Bits, unit_ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    return np.asarray((units[unit_ids >> 3] >> (7 - (unit_ids & 7))) & 1, dtype=bool)


def _scaled(x: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    spread = x[:, rows].std(axis=1, keepdims=True)
    return x / np.where(spread > 0, spread, 1)


def _empty(space: Space) -> Products:
    n = len(space.images)
    return Products(np.zeros((n, n), order="F"), np.zeros((len(space.others), n), order="F"))


def _add(x: NDArray[np.float64], space: Space, products: Products) -> None:
    """Add the products over some units, `x` of shape (n_units, n_images), in place."""
    from scipy.linalg.blas import dgemm, dsyrk

    if not len(x):
        return
    # A transposed array in C's order is one in Fortran's, so that nothing is copied.
    columns = x[:, space.images].T
    dsyrk(1.0, columns, beta=1.0, c=products.images, overwrite_c=True)
    if len(space.others):
        rows = x[:, space.others].T
        dgemm(1.0, rows, columns, beta=1.0, c=products.others, trans_b=True, overwrite_c=True)


def _whole(products: Products) -> Products:
    """Fill the lower triangle, which `_add` leaves."""
    whole = products.images
    whole += np.triu(whole, 1).T
    return products

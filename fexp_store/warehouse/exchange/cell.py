"""The activations of a range of stimuli, as a fragment takes them."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from fexp_store.warehouse.activations.write import round_mantissa
from fexp_store.warehouse.exchange.given import Given

Range = tuple[int, int]
"""Half-open."""


def read(given: Given, stimuli: Range, units: Range, keep_bits: int | None) -> NDArray[np.float32]:
    """Read activations as they are stored: of shape (n_stimuli, n_units), rounded if asked to."""
    block = given.block(*stimuli, *units)
    if keep_bits is not None:
        block = block.copy()  # the array may be the user's
        round_mantissa(block, keep_bits)
    return block


class Cell:
    """A range of stimuli, kept whole where memory allows, and else read anew as it is asked for.

    Parameters
    ----------
    given : Given
    start, stop : int
        Half-open range of stimuli.
    keep_bits : int or None
    """

    def __init__(self, given: Given, start: int, stop: int, keep_bits: int | None) -> None:
        self.n_units = given.n_units
        self._given, self._stimuli, self._keep_bits = given, (start, stop), keep_bits
        self._step = min(given.unit_step(start, stop), given.n_units)
        fits = self._step == given.n_units
        self._whole = self._read(0, given.n_units) if fits else None

    def units(self, first: int, last: int) -> NDArray[np.float32]:
        """Return a half-open range of units, of shape (n_stimuli, n_units)."""
        return self._read(first, last) if self._whole is None else self._whole[:, first:last]

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return units, see `fexp_store.warehouse.activations.write.Source`."""
        return self.units(start, stop).T

    def sha256(self) -> str:
        """Return the hash of the activations as float32, sorted by unit and then stimulus."""
        digest = sha256()
        for first in range(0, self.n_units, self._step):
            block = self.units(first, min(first + self._step, self.n_units))
            digest.update(np.ascontiguousarray(block.T, dtype="<f4").data)
        return digest.hexdigest()

    def _read(self, first: int, last: int) -> NDArray[np.float32]:
        return read(self._given, self._stimuli, (first, last), self._keep_bits)

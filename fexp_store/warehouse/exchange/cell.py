"""The activations of a range of stimuli, as a fragment takes them: unit by unit."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from fexp_store.warehouse.activations.fragment import units_a_group
from fexp_store.warehouse.exchange.given import Given


class Cell:
    """A source of `fexp_store.warehouse.activations.write`: a range of stimuli of what was given.

    As many units are read at once as memory allows, so that a file is read as seldom as can be.

    Parameters
    ----------
    given : Given
    start, stop : int
        Half-open range of stimuli.
    """

    def __init__(self, given: Given, start: int, stop: int) -> None:
        self.n_units = given.n_units
        self._given, self._stimuli = given, (start, stop)
        self._group = units_a_group(stop - start)
        groups = given.unit_step(start, stop) // self._group
        self._step = min(max(1, groups) * self._group, given.n_units)
        self._first = 0
        self._read = given.block(start, stop, 0, self._step)

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return a half-open range of units, of shape (n_units, n_stimuli)."""
        if start < self._first or stop > self._first + self._read.shape[1]:
            del self._read  # before the next is read
            self._first = start
            last = min(start + self._step, self.n_units)
            self._read = self._given.block(*self._stimuli, start, last)
        return self._read[:, start - self._first : stop - self._first].T

    def sha256(self) -> str:
        """Return the hash of the activations as float32, sorted by unit and then stimulus."""
        digest = sha256()
        for start in range(0, self.n_units, self._group):
            block = self.block(start, min(start + self._group, self.n_units))
            digest.update(np.ascontiguousarray(block, dtype="<f4").data)
        return digest.hexdigest()

"""Whether stored activations are those that a network gives now, and by how much they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fexp_store.warehouse.activations.write import stored_form

SAME_DEVICE = 1e-5
"""How far activations may be apart on the kind of device that they were stored on, in units of the
largest response: sums are taken in another order where other images are in the batch."""

OTHER_DEVICE = 1e-3
"""The same where they were stored on another kind of device, or nothing says on which."""

_STEPS = {"bf16": 2.0**-7}
"""Of a precision whose responses are rounded: the largest step between two, in units of one."""


class Difference(NamedTuple):
    """How the stored activations of one layer for one stimulus differ from those of now.

    Parameters
    ----------
    units : int
        How many differ.
    unit : int
        The one that differs most, counted from the first that was compared.
    stored, again : float
        Its activation, as it is stored and as the network gives it now.
    relative : float
        How far apart they are, in units of the largest response; infinite if one is not finite.
    """

    units: int
    unit: int
    stored: float
    again: float
    relative: float


@dataclass(frozen=True)
class Agreement:
    """What counts as the same activation.

    A stored value agrees if storing some value within the tolerance of the network's would have
    given it. So two that are on the two sides of a rounding to `keep_bits` agree, and a stored
    value a whole step away from where it belongs does not.

    Parameters
    ----------
    tolerance : float
        In units of the largest response.
    keep_bits : int or None
        Mantissa bits that were kept.
    precision : str
        Arithmetic of the forward pass.
    """

    tolerance: float
    keep_bits: int | None
    precision: str

    def difference(
        self, stored: NDArray[np.float32], again: NDArray[np.float32], largest: float
    ) -> Difference | None:
        """Compare a layer's responses to one stimulus; None if all agree.

        Parameters
        ----------
        stored : ndarray of shape (n_units,), float32
        again : ndarray of shape (n_units,), float32
            What the network gives now, not rounded.
        largest : float
            The layer's largest finite response, without its sign.
        """
        wrong = ~self._agrees(stored, again, largest)
        if not wrong.any():
            return None
        rounded = stored_form(again, self.keep_bits)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(stored.astype(np.float64) - rounded)
        apart[~np.isfinite(apart)] = np.inf
        apart[~wrong] = -1.0
        unit = int(np.argmax(apart))
        relative = float(apart[unit]) / largest if largest else np.inf
        values = float(stored[unit]), float(rounded[unit])
        return Difference(int(np.count_nonzero(wrong)), unit, *values, relative)

    def _agrees(
        self, stored: NDArray[np.float32], again: NDArray[np.float32], largest: float
    ) -> NDArray[np.bool_]:
        exact = again.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            slack = self.tolerance * largest + np.abs(exact) * _STEPS.get(self.precision, 0.0)
            slack[~np.isfinite(exact)] = 0.0  # infinities agree with themselves alone
            low = stored_form((exact - slack).astype(np.float32), self.keep_bits)
            high = stored_form((exact + slack).astype(np.float32), self.keep_bits)
            between = (low <= stored) & (stored <= high)
        return between | (np.isnan(stored) & np.isnan(again))

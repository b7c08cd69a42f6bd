"""Activations as they were given, seen as stimuli x units in the order of a stimulus set."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.warehouse.exchange.declared import Axes, Options
from fexp_store.warehouse.exchange.source import Source


@dataclass(frozen=True)
class Given:
    """A source, the meaning of its dimensions, and which of its rows each stimulus is.

    Parameters
    ----------
    source : Source
    axes : str
        Meaning of the dimensions, see `Axes`.
    shape : tuple of int
        Of the layer: (channels, height, width) or (units,).
    rows : ndarray of shape (n_stimuli,), int64
        Row of the source by stimulus_id.
    memory : int
        Bytes that a block may have while it is read.
    allow_nonfinite : bool
        Whether values may be no finite numbers.
    """

    source: Source
    axes: Axes
    shape: tuple[int, ...]
    rows: NDArray[np.int64]
    memory: int
    allow_nonfinite: bool

    @property
    def n_units(self) -> int:
        """Number of units."""
        return prod(self.shape)

    def unit_step(self, start: int, stop: int) -> int:
        """Return how many units of a range of stimuli can be read at once."""
        wanted = self.rows[start:stop]
        span = int(wanted.max() - wanted.min()) + 1
        return max(1, self.memory // (span * self.source.itemsize + 8 * len(wanted)))

    def block(self, start: int, stop: int, first: int, last: int) -> NDArray[np.float32]:
        """Read units `first` to `last` of stimuli `start` to `stop`, both half-open.

        Returns
        -------
        ndarray of shape (n_stimuli, n_units), float32

        Raises
        ------
        BadInput
            If a value is not finite in float32, unless that is allowed.
        """
        wanted = self.rows[start:stop]
        low, high = int(wanted.min()), int(wanted.max()) + 1
        values = self._region(slice(low, high), first, last)
        if not np.array_equal(wanted, np.arange(low, high)):
            values = values[wanted - low]
        with np.errstate(over="ignore"):
            block = np.asarray(values, dtype=np.float32)
        finite = np.isfinite(block)
        if not (self.allow_nonfinite or finite.all()):
            row, unit = np.argwhere(~finite)[0]
            raise BadInput(
                f"{self.source.name} holds {values[row, unit]} for stimulus {start + row}, unit "
                f"{first + unit}, which float32 has no finite value for; nothing was stored."
            )
        return block

    def _region(self, rows: slice, first: int, last: int) -> NDArray[np.generic]:
        """Read whole channels around the units, as stimuli x units."""
        if len(self.axes) == 2:
            by_axis = {"N": rows, "U": slice(first, last)}
            values = self.source.read(tuple(by_axis[axis] for axis in self.axes))
            return values if self.axes == "NU" else values.T
        in_channel = self.shape[1] * self.shape[2]
        low, high = first // in_channel, -(-last // in_channel)
        everything = slice(None)
        by_axis = {"N": rows, "C": slice(low, high), "H": everything, "W": everything}
        values = self.source.read(tuple(by_axis[axis] for axis in self.axes))
        ordered = values.transpose([self.axes.index(axis) for axis in "NCHW"])
        flat = ordered.reshape(len(ordered), -1)
        return flat[:, first - low * in_channel : last - low * in_channel]


def arrange(source: Source, options: Options, rows: NDArray[np.int64]) -> Given:
    """Say what the dimensions of a source are.

    Parameters
    ----------
    rows : ndarray of shape (n_stimuli,), int64
        As in `Given`.

    Raises
    ------
    BadInput
        If the source has not these dimensions.
    """
    shape, memory = options.layer_shape, options.memory_bytes
    by_default: dict[int, Axes] = {2: "NU", 4: "NCHW"}
    axes = options.axes or by_default.get(len(source.shape))
    sizes = dict(zip(axes or "", source.shape, strict=False))
    if axes is None or len(axes) != len(source.shape) or 0 in source.shape:
        raise BadInput(
            f"{source.name} has the shape {source.shape}, and it must be stimuli x units, "
            "stimuli x channels x rows x columns, or what --axes says."
        )
    if sizes["N"] != len(rows):
        other = {"NU": "UN", "UN": "NU"}.get(axes)
        swap = other and sizes["U"] == len(rows)
        raise BadInput(
            f"{source.name} has {sizes['N']} stimuli and the set has {len(rows)}"
            + (f"; if its dimensions are the other way round, say --axes {other}." if swap else ".")
        )
    units = (sizes["U"],) if len(axes) == 2 else (sizes["C"], sizes["H"], sizes["W"])
    if shape is not None and (prod(shape) != prod(units) or (len(axes) == 4 and shape != units)):
        raise BadInput(f"{source.name} has {' x '.join(map(str, units))} units, not {shape}.")
    return Given(source, axes, shape or units, rows, memory, options.allow_nonfinite)

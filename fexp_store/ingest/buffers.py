"""Where activations wait until their piece is full: in memory if there is room, else on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from fexp_store.ingest.plan import Piece
from fexp_store.warehouse.activations.fragment import ROW_GROUP_ROWS, units_a_group
from fexp_store.warehouse.activations.write import Held
from fexp_store.warehouse.storage import Storage

WRITING_BYTES = 6 * 4 * ROW_GROUP_ROWS
"""Memory of the row group that is being written: three columns, and their pages."""

CHUNK_BYTES = 8 << 20
"""Memory in which responses are brought in order on their way to a scratch file."""


def room(memory: int) -> int:
    """Return the bytes of ``--memory`` that whole pieces may have, beside what writing takes."""
    return max(0, memory - WRITING_BYTES - CHUNK_BYTES)


class InMemory(Held):
    """A piece as an array."""

    @classmethod
    def of(cls, piece: Piece) -> InMemory:
        """Make one that is empty."""
        return cls(np.empty((piece.stimuli, piece.layer.units), np.float32))

    @property
    def at_once(self) -> int:
        """How many stimuli may be filled at once."""
        return len(self.values)

    @contextmanager
    def filling(self, first: int, last: int) -> Iterator[NDArray[np.float32]]:
        """Give the rows of stimuli, counted from the first of the piece, to be filled."""
        yield self.values[first:last]

    def close(self) -> None:
        """Do nothing: an array goes with the last that knows it."""


class OnDisk:
    """A piece in a scratch file, laid out by the row groups that will be read back.

    Each row group's place holds all stimuli of its units: a batch is written in some pieces, and a
    row group is read in one, whatever the number of stimuli.
    """

    def __init__(self, piece: Piece, storage: Storage) -> None:
        self._units, self._stimuli = piece.layer.units, piece.stimuli
        self._group = min(units_a_group(piece.stimuli), self._units)
        self._file = storage.scratch()

    @property
    def at_once(self) -> int:
        """How many stimuli may be filled at once, at least one."""
        return max(1, CHUNK_BYTES // (4 * self._units))

    @contextmanager
    def filling(self, first: int, last: int) -> Iterator[NDArray[np.float32]]:
        """Give rows of stimuli, counted from the first of the piece, to be filled."""
        rows = np.empty((last - first, self._units), np.float32)
        yield rows
        for start in range(0, self._units, self._group):
            part = np.ascontiguousarray(rows[:, start : start + self._group])
            self._file.seek(4 * (start * self._stimuli + first * part.shape[1]))
            self._file.write(part.data)

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Read a row group, see `fexp_store.warehouse.activations.write.Source`."""
        self._file.seek(4 * start * self._stimuli)
        content = self._file.read(4 * (stop - start) * self._stimuli)
        return np.frombuffer(content, np.float32).reshape(self._stimuli, stop - start).T

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


Buffer = InMemory | OnDisk


class Buffers:
    """Opens buffers: in memory while all that are in memory are within bounds.

    Parameters
    ----------
    storage : Storage
    memory : int
        Bytes that buffers in memory may have together.
    """

    def __init__(self, storage: Storage, memory: int) -> None:
        self._storage, self._memory = storage, memory
        self._buffers: dict[Piece, Buffer] = {}

    def of(self, piece: Piece) -> Buffer:
        """Return the buffer of a piece, which is opened if there is none."""
        if piece not in self._buffers:
            held = sum(p.bytes for p, b in self._buffers.items() if isinstance(b, InMemory))
            fits = held + piece.bytes <= self._memory
            self._buffers[piece] = InMemory.of(piece) if fits else OnDisk(piece, self._storage)
        return self._buffers[piece]

    def close(self, pieces: Sequence[Piece] | None = None) -> None:
        """Close the buffers of some pieces, or all."""
        for piece in list(self._buffers) if pieces is None else pieces:
            self._buffers.pop(piece).close()

"""What an ingest has to do: pieces that are missing, and the batches of images that fill them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from fexp_store.warehouse.activations import grid
from fexp_store.warehouse.activations.grid import Range
from fexp_store.warehouse.networks import Layer


@dataclass(frozen=True)
class Piece:
    """What is missing of one cell of a layer's grid: it becomes one fragment."""

    layer: Layer
    start: int
    stop: int

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return self.stop - self.start

    @property
    def bytes(self) -> int:
        """Bytes of its activations as float32."""
        return 4 * self.layer.units * self.stimuli


@dataclass(frozen=True)
class Batch:
    """A range of stimuli that goes through the network, and the pieces that take a part of it."""

    start: int
    stop: int
    pieces: tuple[Piece, ...]

    @property
    def full(self) -> tuple[Piece, ...]:
        """The pieces of which this is the last batch."""
        return tuple(piece for piece in self.pieces if piece.stop <= self.stop)


@dataclass(frozen=True)
class Plan:
    """What is missing of a set's activations; nothing is listed before it is asked for.

    Parameters
    ----------
    missing : mapping of Layer to sequence of (int, int)
        Half-open ranges of stimuli that are not stored, sorted and disjoint.
    n_stimuli : int
        Size of the stimulus set.
    batch_size : int
        Images in a batch.
    """

    missing: Mapping[Layer, list[Range]]
    n_stimuli: int
    batch_size: int

    def __bool__(self) -> bool:
        return any(self.missing.values())

    def pieces(self, layer: Layer) -> Iterator[Piece]:
        """Return what is missing of a layer, in order of stimuli."""
        for start, stop in grid.pieces(layer.units, self.missing[layer]):
            yield Piece(layer, start, stop)

    def batches(self) -> Iterator[Batch]:
        """Return the batches that have to be run, in order of stimuli.

        A batch begins at a multiple of the batch size, whatever is stored: an activation depends
        on the images it is computed with in its last bits, and so never on what was there before.
        """
        ahead = heapq.merge(*map(self.pieces, self.missing), key=lambda piece: piece.start)
        piece = next(ahead, None)
        pieces: tuple[Piece, ...] = ()
        stop = 0
        while pieces or piece is not None:
            if not pieces and piece is not None:
                stop = max(stop, piece.start - piece.start % self.batch_size)
            start, stop = stop, min(stop + self.batch_size, self.n_stimuli)
            while piece is not None and piece.start < stop:
                pieces, piece = (*pieces, piece), next(ahead, None)
            yield Batch(start, stop, pieces)
            pieces = tuple(piece for piece in pieces if piece.stop > stop)

    @cached_property
    def stimuli(self) -> int:
        """Stimuli that go through the network."""
        return sum(batch.stop - batch.start for batch in self.batches())

    @cached_property
    def fragments(self) -> int:
        """Pieces, and so files that are written."""
        return sum(1 for layer in self.missing for _ in self.pieces(layer))

    @property
    def raw_bytes(self) -> dict[Layer, int]:
        """Bytes of the missing activations of each layer as float32."""
        return {
            layer: 4 * layer.units * sum(stop - start for start, stop in ranges)
            for layer, ranges in self.missing.items()
        }

    @cached_property
    def open_bytes(self) -> int:
        """Most bytes of pieces that are being filled at one time."""
        return max((sum(p.bytes for p in b.pieces) for b in self.batches()), default=0)

"""What an ingest has to do: which stimuli of which layers are not stored yet, in which portions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fexp_store.warehouse.activations.fragment import FRAGMENT_BYTES, ROW_BYTES
from fexp_store.warehouse.networks import Layer

# One span is filled while the one before is written; one batch is computed while the one before is
# copied into its span. Each takes 4 bytes an activation.
_COPIES = 2
_BYTES = 4


@dataclass(frozen=True)
class Span:
    """A range of stimuli to run, and the layers that miss it: one fragment for each of them."""

    start: int
    stop: int
    layers: tuple[Layer, ...]

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return self.stop - self.start

    @property
    def units(self) -> int:
        """Number of units of all its layers."""
        return sum(layer.units for layer in self.layers)


def plan(
    layers: Sequence[Layer],
    stored: Mapping[str, Sequence[tuple[int, int]]],
    n_stimuli: int,
    memory: int,
    batch_size: int,
) -> list[Span]:
    """Cut what is missing into spans.

    Parameters
    ----------
    layers : sequence of Layer
        Layers that are wanted.
    stored : mapping of str to sequence of (int, int)
        Layer name -> half-open ranges of stimuli that are stored, sorted and disjoint.
    n_stimuli : int
        Size of the stimulus set.
    memory : int
        Bytes that the buffers of activations may have together.
    batch_size : int
        Images in a batch, if memory allows.

    Returns
    -------
    list of Span
        In order of stimuli. Every missing (layer, stimulus) is in exactly one span. What
        `buffer_bytes` says of it is at most `memory`, and its largest file at most
        `FRAGMENT_BYTES` uncompressed, but a span has at least one stimulus.
    """
    missing = {layer: _complement(stored.get(layer.name, ()), n_stimuli) for layer in layers}
    edges = sorted({edge for ranges in missing.values() for both in ranges for edge in both})
    spans: list[Span] = []
    for start, stop in pairwise(edges):
        wanted = tuple(layer for layer, ranges in missing.items() if _within(start, ranges))
        if wanted:
            spans += _portions(start, stop, wanted, memory, batch_size)
    return spans


def batch_images(layers: Iterable[Layer], memory: int, batch_size: int) -> int:
    """Return how many images a batch may have: few, where layers are large for the memory."""
    units = sum(layer.units for layer in layers)
    return max(1, min(batch_size, memory // (2 * _COPIES * _BYTES * units)))


def buffer_bytes(span: Span, batch_size: int) -> int:
    """Return the bytes of the buffers that a span of stimuli and its batches take."""
    return _COPIES * _BYTES * span.units * (span.stimuli + min(batch_size, span.stimuli))


def _span_stimuli(layers: Sequence[Layer], memory: int, batch_size: int) -> int:
    """Return how many stimuli one span may have for these layers."""
    units = [layer.units for layer in layers]
    batch = batch_images(layers, memory, batch_size)
    by_memory = memory // (_COPIES * _BYTES * sum(units)) - batch
    by_file = FRAGMENT_BYTES // (ROW_BYTES * max(units))
    return max(1, min(by_memory, by_file))


def _portions(
    start: int, stop: int, layers: tuple[Layer, ...], memory: int, batch_size: int
) -> list[Span]:
    # Equal portions: a last fragment of a few stimuli would be slower to read than its size.
    count = -(-(stop - start) // _span_stimuli(layers, memory, batch_size))
    cuts = [start + (stop - start) * i // count for i in range(count + 1)]
    return [Span(a, b, layers) for a, b in pairwise(cuts)]


def _complement(ranges: Sequence[tuple[int, int]], n_stimuli: int) -> list[tuple[int, int]]:
    edges = [0, *(edge for both in ranges for edge in both), n_stimuli]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def _within(start: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(a <= start < b for a, b in ranges)

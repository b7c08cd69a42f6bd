"""The grid of a layer: ranges of stimuli that depend on the layer's size and on nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

FRAGMENT_BYTES = 512 << 20
"""Bytes of raw float32 that one cell of the grid has at most, but it has one stimulus at least."""

Range = tuple[int, int]
"""Half-open range of stimuli."""


def cell_stimuli(units: int) -> int:
    """Return how many stimuli a cell of a layer with so many units has."""
    return max(1, FRAGMENT_BYTES // (4 * units))


def pieces(units: int, missing: Iterable[Range]) -> Iterator[Range]:
    """Cut ranges of stimuli at the edges of the layer's cells; each piece becomes one fragment."""
    size = cell_stimuli(units)
    for start, stop in missing:
        while start < stop:
            edge = min(stop, start - start % size + size)
            yield start, edge
            start = edge


def complement(stored: Iterable[Range], n_stimuli: int) -> list[Range]:
    """Return the ranges of a set that are not stored.

    Parameters
    ----------
    stored : iterable of (int, int)
        Sorted by their starts.
    n_stimuli : int
        Size of the set.
    """
    missing, done = [], 0
    for start, stop in stored:
        if done < start:
            missing.append((done, min(start, n_stimuli)))
        done = max(done, stop)
    if done < n_stimuli:
        missing.append((done, n_stimuli))
    return missing

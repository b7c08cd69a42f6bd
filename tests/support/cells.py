"""Cells of the grid that a test can fill: real ones hold 512 MiB, minutes of every network here."""

from __future__ import annotations

import pytest

from fexp_store.warehouse.activations import grid


def cut_cells(patch: pytest.MonkeyPatch, stimuli: int, units: int) -> None:
    """Let a cell of a layer of so many units have so many stimuli, and others accordingly."""
    patch.setattr(grid, "FRAGMENT_BYTES", 4 * stimuli * units)

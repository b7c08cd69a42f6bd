"""A layer's activations with the labels of their stimuli and units, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.warehouse.activations.matrix import Matrix
from fexp_store.warehouse.place import Place

if TYPE_CHECKING:
    from fexp_store.warehouse.warehouse import Warehouse

_STIMULI = (
    *("stimulus_id", "image_sha256", "identity", "expression"),
    *("morph_from", "morph_to", "morph_level"),
)
_UNITS = (
    "SELECT unit_id, channel, row, col, token, dim, token_kind FROM units"
    " WHERE network = $network AND layer = $layer ORDER BY unit_id"
)


@dataclass(frozen=True)
class Labelled:
    """Activations that are read as they are asked for.

    Parameters
    ----------
    place : Place
    stimuli : DataFrame of n_stimuli rows
        Labels by stimulus_id; columns that say nothing are left away.
    units : DataFrame of n_units rows
        unit_id, and channel, row, col, token, dim and token_kind where the layer has them.
    blocks : callable
        Yields ranges of units, in order, and their activations: ndarray of shape
        (n_stimuli, n_units), float32.
    """

    place: Place
    stimuli: pl.DataFrame
    units: pl.DataFrame
    blocks: Callable[[], Iterator[tuple[slice, NDArray[np.float32]]]]


def labelled(
    wh: Warehouse,
    place: Place,
    stimuli: pl.DataFrame,
    unit_ids: NDArray[np.int32],
    read: Callable[[], Iterator[Matrix]],
) -> Labelled:
    """Add labels to stimuli and units of a layer that `read` gives in blocks."""
    about = wh.frame(_UNITS, network=place.network, layer=place.layer)
    units = pl.DataFrame({"unit_id": unit_ids}).join(about, on="unit_id", how="left")

    def blocks() -> Iterator[tuple[slice, NDArray[np.float32]]]:
        with wh.bar(f"Exporting {place}") as started:
            advance = started(stimuli.height * units.height)
            stop = 0
            for block in read():
                start, stop = stop, stop + len(block.unit_ids)
                yield slice(start, stop), block.values
                advance(block.values.size)

    return Labelled(place, _saying(stimuli.select(_STIMULI)), _saying(units), blocks)


def _saying(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(column for column in frame if column.null_count() < frame.height)

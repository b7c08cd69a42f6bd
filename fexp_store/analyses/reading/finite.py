"""Which units can be analysed: those whose responses are all finite numbers.

One rule for all analyses: a unit with a response to an image of a set that is not a number, or is
infinite, counts as one without variance on that set. It is never selective, its statistics are
null, and what reads patterns of several units leaves it out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.errors import BadInput
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.activations.matrix import Matrix
from fexp_store.warehouse.place import Place

_UNITS_A_BLOCK = 4096


def read_blocks(wh: Warehouse, place: Place) -> Iterator[Matrix]:
    """Read blocks as `Warehouse.matrix_blocks` does; units that are not finite are 0 throughout."""
    blocks = wh.matrix_blocks(*place)
    if not _suspect(wh, place, [place.stimulus_set]):
        yield from blocks
        return
    for block in blocks:
        yield replace(block, values=np.where(_all_finite(block.values), block.values, 0))


def finite_units(
    wh: Warehouse, place: Place, stimulus_sets: Collection[str], unit_ids: Sequence[int]
) -> list[int]:
    """Leave out units that have a response that is not finite to an image of one of some sets.

    Parameters
    ----------
    place : Place
        Of which the network and the layer count.
    unit_ids : sequence of int
        In ascending order.

    Raises
    ------
    BadInput
        If no unit is left.
    """
    left = list(unit_ids)
    for name in _suspect(wh, place, stimulus_sets):
        portions = [left[i : i + _UNITS_A_BLOCK] for i in range(0, len(left), _UNITS_A_BLOCK)]
        blocks = (wh.matrix(*place._replace(stimulus_set=name), units=units) for units in portions)
        left = [u for block in blocks for u in block.unit_ids[_all_finite(block.values)].tolist()]
    if unit_ids and not left:
        raise BadInput(
            f"Each of these {len(unit_ids)} units of {place.network} {place.layer} has a response "
            "that is not finite; look at the weights and the preprocessing, and ingest again under "
            "another name."
        )
    return left


def _suspect(wh: Warehouse, place: Place, stimulus_sets: Collection[str]) -> list[str]:
    """Return the sets that have to be read: an ingest counts what is not finite."""
    query = schemas.sql("queries")["may_be_nonfinite"]
    key = {"network": place.network, "layer": place.layer, "stimulus_sets": list(stimulus_sets)}
    found: list[str] = wh.frame(query, **key)["stimulus_set"].to_list()
    return found


def _all_finite(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return of each unit whether all its responses are finite."""
    return np.asarray(np.isfinite(values).all(axis=0))

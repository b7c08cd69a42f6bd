"""Making fragments visible: one commit, in which every activation is stored once."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.warehouse import tables
from fexp_store.warehouse.activations.foreign import with_ranges
from fexp_store.warehouse.activations.fragment import TABLE, Fragment, stored_path
from fexp_store.warehouse.activations.matrix import StoredLayer, stored_files
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage


def commit(storage: Storage, fragments: Sequence[Fragment]) -> list[Fragment]:
    """Make written files visible, all in one commit, but not those whose stimuli are stored.

    The rows of ``fragments`` are written first and count only once the log of ``activations``
    names their files, so a kill at any point leaves nothing half-visible.

    Returns
    -------
    list of Fragment
        Those that were committed. The files of the others, whose stimuli another process stored
        first, are deleted.
    """
    tables.append(storage, "fragments", pl.DataFrame([asdict(f) for f in fragments], orient="row"))

    def attempt(table: DeltaTable, properties: CommitProperties) -> list[Fragment]:
        covered = stored_ranges(storage, table, {f.place: f.unit_stop for f in fragments})
        fresh = [f for f in fragments if not _overlaps(f, covered)]
        if fresh:
            schema = schemas.tables()[TABLE]
            table.create_write_transaction(
                [_add_action(f) for f in fresh],
                mode="append",
                schema=schema.arrow,
                partition_by=list(schema.partition_by),
                commit_properties=properties,
            )
        return fresh

    # One key per place: two commits to one place never pass each other unseen.
    keys = sorted({f.place.path for f in fragments})
    fresh = tables.serialised(storage, TABLE, keys, attempt)
    discard(storage, [fragment.path for fragment in fragments if fragment not in fresh])
    return fresh


def discard(storage: Storage, paths: Sequence[str]) -> None:
    """Delete fragment files, but never one that the log of ``activations`` names."""
    live = set(tables.files(tables.open_table(storage, TABLE))["path"])
    for path in set(paths) - live:
        storage.delete(stored_path(path))


def stored_ranges(
    storage: Storage, table: DeltaTable, units: Mapping[Place, int]
) -> dict[Place, list[tuple[int, int]]]:
    """Return the half-open ranges of stimuli that are stored, sorted and disjoint, by place.

    Parameters
    ----------
    units : mapping of Place to int
        The places that are asked for, and the units of their layers.

    Raises
    ------
    Damaged
        If a stimulus is stored in part.
    """
    found: dict[Place, list[tuple[int, int]]] = {}
    here = pl.DataFrame(list(units), schema=dict.fromkeys(Place._fields, pl.String), orient="row")
    files = with_ranges(storage, tables.files(table).join(here, on=Place._fields, how="semi"))
    for names, group in files.group_by(Place._fields):
        place = Place(*map(str, names))
        layer = StoredLayer(place, stored_files(storage, group), units[place])
        found[place] = _runs(layer.stimuli(storage))
    return found


def _runs(numbers: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Return the half-open ranges that ascending numbers make up."""
    breaks = np.flatnonzero(np.diff(numbers) > 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(numbers, breaks) if part.size]


def _add_action(fragment: Fragment) -> AddAction:
    low = {"unit_id": fragment.unit_start, "stimulus_id": fragment.stimulus_start}
    high = {"unit_id": fragment.unit_stop - 1, "stimulus_id": fragment.stimulus_stop - 1}
    stats = {
        "numRecords": fragment.rows,
        "minValues": low,
        "maxValues": high,
        "nullCount": {"unit_id": 0, "stimulus_id": 0, "activation": 0},
    }
    return AddAction(
        path=fragment.path,
        size=fragment.bytes,
        partition_values=fragment.place.columns,
        modification_time=time.time_ns() // 1_000_000,
        data_change=True,
        stats=json.dumps(stats),
    )


def _overlaps(fragment: Fragment, covered: dict[Place, list[tuple[int, int]]]) -> bool:
    return any(
        start < fragment.stimulus_stop and fragment.stimulus_start < stop
        for start, stop in covered.get(fragment.place, [])
    )

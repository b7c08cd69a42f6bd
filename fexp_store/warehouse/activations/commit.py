"""Making fragments visible: one commit, in which every activation is stored once."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction

from fexp_store import schemas
from fexp_store.warehouse import tables
from fexp_store.warehouse.activations.fragment import TABLE, Fragment, stored_path
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
        covered = stored_ranges(table)
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


def stored_ranges(table: DeltaTable) -> dict[Place, list[tuple[int, int]]]:
    """Return the half-open stimulus ranges that are stored, sorted, by place."""
    live = tables.files(table)
    ranges: dict[Place, list[tuple[int, int]]] = {}
    if live.is_empty():
        return ranges
    for row in live.sort("min.stimulus_id").iter_rows(named=True):
        place = Place(row["network"], row["layer"], row["stimulus_set"])
        stored = (row["min.stimulus_id"], row["max.stimulus_id"] + 1)
        ranges.setdefault(place, []).append(stored)
    return ranges


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

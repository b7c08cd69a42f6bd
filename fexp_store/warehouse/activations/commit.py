"""Making fragments visible: one commit, in which every activation is stored once."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction, RemoveAction
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.errors import Damaged
from fexp_store.warehouse import checked, commits, delta, tables
from fexp_store.warehouse.activations.foreign import with_ranges
from fexp_store.warehouse.activations.fragment import TABLE, Fragment, stored_path
from fexp_store.warehouse.activations.grid import Range
from fexp_store.warehouse.activations.matrix import StoredLayer, stored_files
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage


def commit(storage: Storage, fragments: Sequence[Fragment]) -> list[Fragment]:
    """Make written files visible, all in one commit, but not those whose stimuli are stored.

    The rows of ``fragments`` are written first and count only once the log of ``activations``
    names their files, so a kill at any point leaves nothing half-visible. A file of the same
    stimuli that the log names and that is gone from the disk leaves the log in the same commit.

    Returns
    -------
    list of Fragment
        Those that were committed. The files of the others, whose stimuli another process stored
        first, are deleted.

    Raises
    ------
    Damaged
        If a file was deleted before the commit, or while it was made.
    """
    tables.append(storage, "fragments", pl.DataFrame([asdict(f) for f in fragments], orient="row"))

    units = {f.place: f.unit_stop for f in fragments}

    def attempt(table: DeltaTable, properties: CommitProperties) -> list[Fragment]:
        live = _of(units, delta.files(table))
        there = _are_there(storage, live)
        covered, lost = _ranges(storage, live.filter(there), units), live.filter(~there)
        fresh = [f for f in fragments if not _overlaps(f, covered)]
        if fresh:
            _check_there(storage, fresh)
            schema = schemas.tables()[TABLE]
            table.create_write_transaction(
                [*_remove_actions(storage, fresh, lost), *map(_add_action, fresh)],
                mode="append",
                schema=schema.arrow,
                partition_by=list(schema.partition_by),
                commit_properties=properties,
            )
        return fresh

    # One key per place: two commits to one place never pass each other unseen.
    keys = sorted(place.path for place in units)
    fresh = commits.serialised(storage, TABLE, keys, attempt)
    _check_there(storage, fresh)
    checked.remember(storage, {stored_path(f.path): f.sha256 for f in fresh})
    discard(storage, [fragment.path for fragment in fragments if fragment not in fresh])
    return fresh


def discard(storage: Storage, paths: Sequence[str]) -> None:
    """Delete fragment files, but never one that the log of ``activations`` names."""
    commits.discard(storage, TABLE, paths)


def stored_ranges(
    storage: Storage, table: DeltaTable, units: Mapping[Place, int]
) -> dict[Place, list[Range]]:
    """Return the half-open ranges of stimuli that are stored, sorted and disjoint, by place.

    What the log names counts only if the file is on the disk and has the size that it had.

    Parameters
    ----------
    units : mapping of Place to int
        The places that are asked for, and the units of their layers.

    Raises
    ------
    Damaged
        If a stimulus is stored in part.
    """
    live = _of(units, delta.files(table))
    return _ranges(storage, live.filter(_are_there(storage, live)), units)


def _of(places: Collection[Place], live: pl.DataFrame) -> pl.DataFrame:
    """Return those rows of `delta.files` that are of some places."""
    here = pl.DataFrame(list(places), schema=dict.fromkeys(Place._fields, pl.String), orient="row")
    return live.join(here, on=Place._fields, how="semi")


def _are_there(storage: Storage, live: pl.DataFrame) -> pl.Series:
    """Return of each row of `delta.files` whether the file is there with its size."""
    files = [stored_path(path) for path in live["path"]]
    now = storage.signatures(files)
    sizes = zip(files, live["bytes"], strict=True)
    return pl.Series([f in now and now[f].size == size for f, size in sizes], dtype=pl.Boolean)


def _ranges(
    storage: Storage, there: pl.DataFrame, units: Mapping[Place, int]
) -> dict[Place, list[Range]]:
    found: dict[Place, list[Range]] = {}
    for names, group in with_ranges(storage, there).group_by(Place._fields):
        place = Place(*map(str, names))
        layer = StoredLayer(place, stored_files(storage, group), units[place])
        found[place] = _runs(layer.stimuli(storage))
    return found


def _runs(numbers: NDArray[np.int32]) -> list[Range]:
    """Return the half-open ranges that ascending numbers make up."""
    breaks = np.flatnonzero(np.diff(numbers) > 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(numbers, breaks) if part.size]


def _check_there(storage: Storage, fragments: Sequence[Fragment]) -> None:
    now = storage.signatures(stored_path(f.path) for f in fragments)
    for fragment in fragments:
        file = stored_path(fragment.path)
        if file not in now or now[file].size != fragment.bytes:
            raise Damaged(
                f"{file} was deleted or changed before it was committed; "
                "run the same command again."
            )


def _remove_actions(
    storage: Storage, fragments: Sequence[Fragment], lost: pl.DataFrame
) -> Iterator[RemoveAction]:
    """Take files that are gone out of the log, if fragments hold some of their stimuli."""
    for row in with_ranges(storage, lost).iter_rows(named=True):
        place = Place(*(row[name] for name in Place._fields))
        range_ = (row["stimulus_start"], row["stimulus_stop"])
        if None in range_ or any(_overlaps(fragment, {place: [range_]}) for fragment in fragments):
            yield commits.removal(row, Place._fields)


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


def _overlaps(fragment: Fragment, covered: Mapping[Place, Sequence[Range]]) -> bool:
    return any(
        start < fragment.stimulus_stop and fragment.stimulus_start < stop
        for start, stop in covered.get(fragment.place, [])
    )

"""Files that another Delta client wrote get our record, if they hold what they replaced."""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

import numpy as np
import polars as pl

from fexp_store.errors import FexpError
from fexp_store.warehouse import checked, delta, networks, tables
from fexp_store.warehouse.activations.foreign import Ranges, with_ranges
from fexp_store.warehouse.activations.fragment import TABLE, ContentId, stored_path
from fexp_store.warehouse.activations.matrix import (
    StoredFile,
    StoredLayer,
    read_units,
    stored_files,
)
from fexp_store.warehouse.networks import IMPORTED
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage

_BLOCK_BYTES = 64 << 20


class _Stays(Exception):
    """Why a file stays as it is, unverified: the rest of a sentence."""


@dataclass(frozen=True)
class Adoption:
    """What `adopt` did.

    Parameters
    ----------
    adopted : list of str
        Files that are now recorded, by path in the warehouse.
    left : dict of str to str
        Why others stay unverified, in sentences by path.
    """

    adopted: list[str]
    left: dict[str, str]


def adopt(storage: Storage) -> Adoption:
    """Record every foreign file that is whole units x stimuli and holds what was stored there.

    What it replaced says from which inputs it is. Where the replaced files are still on the disk,
    or the activations were imported, values are compared; else they are taken as they are.
    """
    records = tables.read(storage, "fragments")
    live = delta.files(delta.open_table(storage, TABLE))
    foreign = with_ranges(storage, live.join(records, on="path", how="anti"))
    replaced = records.join(live, on="path", how="anti")
    rows, left = [], {}
    for row, file in zip(
        foreign.iter_rows(named=True), stored_files(storage, foreign), strict=True
    ):
        place = Place(*(row[name] for name in Place._fields))
        try:
            rows.append(_record(storage, place, file, replaced))
        except (_Stays, FexpError) as reason:
            left[stored_path(file.path)] = str(reason)
    if rows:
        tables.append(storage, "fragments", pl.DataFrame(rows, infer_schema_length=None))
        checked.remember(storage, {stored_path(row["path"]): row["sha256"] for row in rows})
    return Adoption([stored_path(row["path"]) for row in rows], left)


def _record(
    storage: Storage, place: Place, file: StoredFile, replaced: pl.DataFrame
) -> dict[str, Any]:
    """Make the row of ``fragments`` for a file, or raise why not."""
    ranges = file.ranges
    if not ranges.full:
        raise _Stays("It is no block of whole units and stimuli; it is read as it is.")
    before = _replaced(place, ranges, replaced)
    values = _values(storage, place, file, before)
    first = before.row(-1, named=True)
    return {
        "fragment_id": _content_id(storage, place, ranges, before, values),
        **place.columns,
        "path": file.path,
        **{field.name: getattr(ranges, field.name) for field in fields(Ranges)},
        "bytes": storage.size(stored_path(file.path)),
        "sha256": storage.sha256(stored_path(file.path)),
        **{name: first[name] for name in ("keep_bits", "precision", "run_id")},
    }


def _replaced(place: Place, ranges: Ranges, records: pl.DataFrame) -> pl.DataFrame:
    """Return our records of what was in the place of a file."""
    here = records.filter(
        (pl.col("stimulus_start") < ranges.stimulus_stop)
        & (pl.col("stimulus_stop") > ranges.stimulus_start)
        & (pl.col("unit_start") < ranges.unit_stop)
        & (pl.col("unit_stop") > ranges.unit_start),
        **place.columns,
    )
    covered = np.zeros(ranges.stimulus_stop, dtype=bool)
    for start, stop in here.select("stimulus_start", "stimulus_stop").iter_rows():
        covered[start:stop] = True
    if not covered[ranges.stimulus_start :].all():
        raise _Stays("Nothing is recorded of what it replaced.")
    if here.select("keep_bits", "precision").n_unique() > 1:
        raise _Stays("What it replaced was stored in several precisions.")
    return here.sort("stimulus_start")


def _values(storage: Storage, place: Place, file: StoredFile, before: pl.DataFrame) -> str:
    """Compare a file with what it replaced, if that is there; return the hash of its values."""
    digest, ranges = sha256(), file.ranges
    stimuli = np.arange(ranges.stimulus_start, ranges.stimulus_stop, dtype=np.int32)
    new = StoredLayer(place, [file], ranges.unit_stop)
    old = StoredLayer(
        place, stored_files(storage, before), int(before["unit_stop"].to_numpy().max())
    )
    there = not checked.different(storage, _digests(before))
    old_stimuli = old.stimuli(storage) if there else stimuli
    step = max(1, _BLOCK_BYTES // (4 * len(old_stimuli)))
    for start in range(ranges.unit_start, ranges.unit_stop, step):
        unit_ids = np.arange(start, min(start + step, ranges.unit_stop), dtype=np.int32)
        values = read_units(storage, new, stimuli, unit_ids)
        if there:
            earlier = read_units(storage, old, old_stimuli, unit_ids)
            earlier = earlier[np.searchsorted(old_stimuli, stimuli)]
            if not np.array_equal(values.view(np.uint32), earlier.view(np.uint32)):
                raise _Stays("Its activations are not those that it replaced.")
        digest.update(np.ascontiguousarray(values.T, dtype="<f4").data)
    return digest.hexdigest()


def _digests(records: pl.DataFrame) -> dict[str, str]:
    rows = records.select("path", "sha256").iter_rows()
    return {stored_path(path): digest for path, digest in rows}


def _content_id(
    storage: Storage, place: Place, ranges: Ranges, before: pl.DataFrame, values: str
) -> str:
    """Return the id of what a file should hold; of imported activations, of what it holds."""
    network = networks.rows(storage, place.network)
    if not network:
        raise _Stays(f"Its network {place.network} is not registered.")
    imported = network[0].architecture == IMPORTED
    content = ContentId(
        weights_sha256=values if imported else network[0].weights_sha256,
        architecture=network[0].architecture,
        preprocessing=network[0].preprocessing,
        layer=place.layer,
        keep_bits=before["keep_bits"][0],
        precision=before["precision"][0],
    )
    stimuli = tables.read(storage, "stimuli").filter(stimulus_set=place.stimulus_set)
    images = stimuli.sort("stimulus_id")["image_sha256"].to_list()
    here = images[ranges.stimulus_start : ranges.stimulus_stop]
    found = content.fragment_id(here, (ranges.unit_start, ranges.unit_stop))
    same = before.filter(
        **{f.name: getattr(ranges, f.name) for f in fields(Ranges) if f.name != "rows"}
    )
    if imported and not same.is_empty() and found not in same["fragment_id"]:
        raise _Stays("Its activations are not those that were imported.")
    return found

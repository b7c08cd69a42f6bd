"""Fragments: one Parquet file of one layer's activations for a range of stimuli, and its commit."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO
from urllib.parse import quote

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.warehouse import tables

ROW_GROUP_ROWS = 1 << 20
ROW_BYTES = 12  # two int32 ids and a float32, uncompressed
FRAGMENT_BYTES = 512 << 20

_FILE_SCHEMA = pa.schema(
    [schemas.tables()["activations"].arrow.field(i) for i in range(3, 6)]
).remove_metadata()


@dataclass(frozen=True)
class Partition:
    """Where activations belong: one layer of one network, for one stimulus set."""

    network: str
    layer: str
    stimulus_set: str

    @property
    def path(self) -> str:
        """Directory relative to the table, with each value percent-encoded."""
        return "/".join(f"{key}={quote(value, safe='')}" for key, value in asdict(self).items())


@dataclass(frozen=True)
class Fragment:
    """One row of the table ``fragments``; see its schema for the columns."""

    fragment_id: str
    network: str
    layer: str
    stimulus_set: str
    path: str
    unit_start: int
    unit_stop: int
    stimulus_start: int
    stimulus_stop: int
    rows: int
    bytes: int
    sha256: str
    keep_bits: int | None
    precision: str
    run_id: str

    @property
    def partition(self) -> Partition:
        """The partition this fragment is in."""
        return Partition(self.network, self.layer, self.stimulus_set)


@dataclass(frozen=True)
class Identity:
    """Everything that determines the content of a fragment, apart from its images.

    Parameters
    ----------
    weights_sha256, architecture, preprocessing, layer : str
        As in the table ``networks``.
    keep_bits : int or None
        Mantissa bits kept; None is lossless.
    precision : str
        Arithmetic of the forward pass.
    """

    weights_sha256: str
    architecture: str
    preprocessing: str
    layer: str
    keep_bits: int | None
    precision: str

    def fragment_id(self, image_sha256s: Sequence[str]) -> str:
        """Return the SHA-256 that names this content for these images, in order."""
        record = asdict(self) | {"images": list(image_sha256s)}
        return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


class _HashingFile:
    """A file that hashes what is written: Parquet is written front to back, so once is enough."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = sha256()
        self.size = 0

    closed = False

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def units_a_group(n_stimuli: int) -> int:
    """Return how many whole units a row group holds in a fragment of so many stimuli."""
    return max(1, ROW_GROUP_ROWS // n_stimuli)


def write_file(
    path: Path, activations: NDArray[np.float32], first_stimulus: int
) -> tuple[int, str]:
    """Write activations in long form, sorted by unit and then stimulus.

    Parameters
    ----------
    path : Path
        A file that does not exist; its directory is made.
    activations : ndarray of shape (n_stimuli, n_units), float32
        Image-major, as networks produce them; transposed here one row group at a time.
    first_stimulus : int
        stimulus_id of the first row.

    Returns
    -------
    tuple of int and str
        Size in bytes and SHA-256 of the file, which is on the disk when this returns. On failure
        no file is left.
    """
    n_stimuli, n_units = activations.shape
    group_units = units_a_group(n_stimuli)
    stimulus_ids = np.arange(first_stimulus, first_stimulus + n_stimuli, dtype=np.int32)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            sink = _HashingFile(file)
            with _parquet_writer(sink) as writer:
                for start in range(0, n_units, group_units):
                    stop = min(start + group_units, n_units)
                    columns = [
                        np.repeat(np.arange(start, stop, dtype=np.int32), n_stimuli),
                        np.tile(stimulus_ids, stop - start),
                        np.ascontiguousarray(activations[:, start:stop].T).reshape(-1),
                    ]
                    rows = (stop - start) * n_stimuli
                    writer.write_table(pa.table(columns, schema=_FILE_SCHEMA), row_group_size=rows)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return sink.size, sink.hexdigest()


def new_path(partition: Partition) -> str:
    """Return a fresh file path, relative to the table, in a partition's directory."""
    return f"{partition.path}/part-{uuid.uuid4().hex}.parquet"


def commit(root: Path, fragments: Sequence[Fragment]) -> list[Fragment]:
    """Make written files visible, all in one commit, but not those whose stimuli are stored.

    The rows of ``fragments`` are written first and count only once the log of ``activations``
    names their files, so a kill at any point leaves nothing half-visible.

    Returns
    -------
    list of Fragment
        Those that were committed. The files of the others, whose stimuli another process stored
        first, are deleted.
    """
    tables.append(root, "fragments", pl.DataFrame([asdict(f) for f in fragments], orient="row"))

    def attempt(table: DeltaTable, properties: CommitProperties) -> list[Fragment]:
        covered = stored_ranges(table)
        fresh = [f for f in fragments if not _overlaps(f, covered)]
        if fresh:
            schema = schemas.tables()["activations"]
            table.create_write_transaction(
                [_add_action(f) for f in fresh],
                mode="append",
                schema=schema.arrow,
                partition_by=list(schema.partition_by),
                commit_properties=properties,
            )
        return fresh

    # One key per partition: two commits to one partition never pass each other unseen.
    keys = sorted({f.partition.path for f in fragments})
    fresh = tables.serialised(root, "activations", keys, attempt)
    discard(root, [fragment.path for fragment in fragments if fragment not in fresh])
    return fresh


def discard(root: Path, paths: Sequence[str]) -> None:
    """Delete fragment files, but never one that the log of ``activations`` names."""
    live = set(tables.files(tables.open_table(root, "activations"))["path"])
    for path in set(paths) - live:
        (root / "activations" / path).unlink(missing_ok=True)


def stored_ranges(table: DeltaTable) -> dict[Partition, list[tuple[int, int]]]:
    """Return the half-open stimulus ranges that are stored, sorted, by partition."""
    live = tables.files(table)
    ranges: dict[Partition, list[tuple[int, int]]] = {}
    if live.is_empty():
        return ranges
    for row in live.sort("min.stimulus_id").iter_rows(named=True):
        partition = Partition(row["network"], row["layer"], row["stimulus_set"])
        stored = (row["min.stimulus_id"], row["max.stimulus_id"] + 1)
        ranges.setdefault(partition, []).append(stored)
    return ranges


def _parquet_writer(sink: _HashingFile) -> pq.ParquetWriter:
    # Plain pages under zstd: measured smaller and faster to read than dictionary, delta or
    # byte-stream-split encodings, since sorted ids compress to almost nothing (docs/benchmarks.md).
    return pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"),
        _FILE_SCHEMA,
        compression="zstd",
        use_dictionary=False,
        write_statistics=["unit_id", "stimulus_id"],
        write_page_checksum=True,
        store_schema=False,
    )


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
        partition_values=asdict(fragment.partition),
        modification_time=time.time_ns() // 1_000_000,
        data_change=True,
        stats=json.dumps(stats),
    )


def _overlaps(fragment: Fragment, covered: dict[Partition, list[tuple[int, int]]]) -> bool:
    return any(
        start < fragment.stimulus_stop and fragment.stimulus_start < stop
        for start, stop in covered.get(fragment.partition, [])
    )

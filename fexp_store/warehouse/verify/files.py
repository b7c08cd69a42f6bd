"""What files hold: every page is read, rows are counted, and keys of activations compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fexp_store.errors import FexpError
from fexp_store.warehouse.activations.files import opened
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage

_BATCH_ROWS = 1 << 18
_RANGES = ("unit_start", "unit_stop", "stimulus_start", "stimulus_stop")
_IN_FOOTER = ("fragment_id", *Place._fields, *_RANGES)

Batches = Callable[[pa.RecordBatch], None]


class Stated(NamedTuple):
    """What a log says of a file, and our record of it where there is one."""

    log: Mapping[str, Any]
    record: Mapping[str, Any] | None


def activations_fault(storage: Storage, path: str, stated: Stated) -> str | None:
    """Return what is wrong with a file of activations, whose bytes may be right nevertheless."""
    try:
        with opened(storage, path) as file:
            if stated.record is None:
                return _read(file, stated.log["rows"], lambda _batch: None)
            return _footer_fault(file, stated.record) or _keys_fault(file, stated.record)
    except FexpError as error:
        return str(error)


def part_fault(storage: Storage, path: str, rows: int | None) -> str | None:
    """Return what is wrong with a file of a small table or of results."""
    try:
        source = storage.open(path)
        with source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            return _read(file, rows, lambda batch: batch.validate(full=True))
    except (OSError, ValueError, FexpError, pa.ArrowException) as error:
        return f"{path} cannot be read as it was stored ({' '.join(str(error).split())})."


def _read(file: pq.ParquetFile, rows: int | None, take: Batches) -> str | None:
    """Read every page in bounded memory."""
    found = 0
    for batch in file.iter_batches(_BATCH_ROWS):
        take(batch)
        found += batch.num_rows
    if found != file.metadata.num_rows or rows not in (None, found):
        return f"It has {found} rows, and its log says {rows}."
    return None


def record_fault(stated: Stated) -> str | None:
    """Compare the log with our record of a file, without reading it."""
    log, record = stated
    if record is None:
        return None
    for name in (*Place._fields, "rows", "bytes"):
        if log[name] is not None and log[name] != record[name]:
            return f"The log says {name} {log[name]!r}, and our record {record[name]!r}."
    for column in ("unit", "stimulus"):
        ends = (record[f"{column}_start"], record[f"{column}_stop"] - 1)
        said = (log.get(f"min.{column}_id"), log.get(f"max.{column}_id"))
        if any(x is not None and x != y for x, y in zip(said, ends, strict=True)):
            return f"The log says {column}_id {said[0]} to {said[1]}, and our record {ends}."
    return None


def _footer_fault(file: pq.ParquetFile, record: Mapping[str, Any]) -> str | None:
    said = file.metadata.metadata or {}
    for name in _IN_FOOTER:
        value = said.get(f"fexp.{name}".encode())
        if value is not None and value.decode(errors="replace") != str(record[name]):
            return f"The file says {name} {value.decode(errors='replace')}, not {record[name]}."
    if record.get("nonfinite") is not None and b"fexp.fragment_id" not in said:
        return "The file does not say which content it has."
    return None


def _keys_fault(file: pq.ParquetFile, record: Mapping[str, Any]) -> str | None:
    """Look for each unit and stimulus once, in order."""
    units, first = record["unit_stop"] - record["unit_start"], record["stimulus_start"]
    stimuli = record["stimulus_stop"] - first
    done, nonfinite = 0, 0
    for batch in file.iter_batches(_BATCH_ROWS, columns=["unit_id", "stimulus_id", "activation"]):
        if any(column.null_count for column in batch.columns):
            return "It has nulls."
        unit, stimulus, values = (column.to_numpy() for column in batch.columns)
        expected = np.arange(done, done + len(unit))
        ids = expected // stimuli + record["unit_start"], expected % stimuli + first
        if not (np.array_equal(unit, ids[0]) and np.array_equal(stimulus, ids[1])):
            return "Its rows are not each unit and stimulus once, in order."
        nonfinite += len(values) - int(np.count_nonzero(np.isfinite(values)))
        done += len(unit)
    if done != units * stimuli or done != record["rows"]:
        return f"It has {done} rows instead of {record['rows']}."
    if record.get("nonfinite") not in (None, nonfinite):
        return f"{nonfinite} of its activations are not finite, and our record says otherwise."
    return None

"""Long tables, a row a unit and stimulus, sorted by unit and then stimulus, with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from fexp_store.warehouse.exchange.labelled import Labelled

_ROWS = 1 << 19


def write_parquet(file: IO[bytes], layer: Labelled) -> None:
    """Write Parquet; labels that are texts are dictionaries, which take next to no room."""
    about = {name.encode(): value.encode() for name, value in layer.place.columns.items()}
    batches = _batches(layer)
    first = next(batches)
    texts = [field.name for field in first.schema if pa.types.is_dictionary(field.type)]
    with pq.ParquetWriter(
        file,
        first.schema.with_metadata(about),
        compression="zstd",
        use_dictionary=texts,
        write_page_checksum=True,
    ) as rows:
        rows.write_batch(first)
        for batch in batches:
            rows.write_batch(batch)


def write_csv(file: IO[bytes], layer: Labelled) -> None:
    """Write CSV; a number is written such that reading it as float32 gives the same."""
    batches = _batches(layer)
    first = _plain(next(batches))
    with csv.CSVWriter(file, first.schema) as rows:
        rows.write_batch(first)
        for batch in batches:
            rows.write_batch(_plain(batch))


def _batches(layer: Labelled) -> Iterator[pa.RecordBatch]:
    n_stimuli = layer.stimuli.height
    step = max(1, _ROWS // n_stimuli)
    for units, block in layer.blocks():
        for first in range(0, units.stop - units.start, step):
            values = block[:, first : first + step].T
            about = layer.units.slice(units.start + first, len(values))
            n_units = len(values)
            stimulus, unit = np.tile(np.arange(n_stimuli), n_units), np.arange(n_units)
            columns = {c.name: _repeated(c, stimulus) for c in layer.stimuli}
            columns |= {c.name: _repeated(c, unit.repeat(n_stimuli)) for c in about}
            columns["activation"] = pa.array(np.ascontiguousarray(values).reshape(-1))
            yield pa.record_batch(columns)


def _repeated(column: pl.Series, rows: Any) -> pa.Array:
    if column.dtype == pl.String:
        texts = pa.array(column.to_list(), pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(rows, pa.int32()), texts)
    return column.gather(rows).to_arrow()


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns
    ]
    return pa.record_batch(columns, names=batch.schema.names)

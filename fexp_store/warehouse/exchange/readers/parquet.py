"""Parquet, wide (a row a stimulus, a column a unit) or long (a row a unit and stimulus)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.errors import BadInput
from fexp_store.warehouse.activations.scatter import Scatter
from fexp_store.warehouse.exchange.matching import LABELS
from fexp_store.warehouse.exchange.source import Region, Source, Wanted

_BATCH_ROWS = 1 << 18


@contextmanager
def open_file(path: Path, wanted: Wanted) -> Iterator[Source]:
    """Open a Parquet file; one that has the columns unit_id and activation is long."""
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise BadInput(f"{path} has two columns of one name.")
        long = {"unit_id", "activation"} <= set(names)
        yield (_long if long else _wide)(path, file, wanted)


def _wide(path: Path, file: pq.ParquetFile, wanted: Wanted) -> Source:
    labels = {*schemas.tables()["stimuli"].arrow.names, wanted.rows}
    fields = [field for field in file.schema_arrow if field.name not in labels]
    for field in fields:
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            raise BadInput(
                f"The column {field.name} of {path} is {field.type}; leave away what is neither a "
                "unit nor a column of the view stimuli, or name it by --rows."
            )
    units = [field.name for field in fields]
    small = all(pa.types.is_float32(field.type) for field in fields)
    dtype = np.dtype(np.float32 if small else np.float64)

    def read(region: Region) -> NDArray[Any]:
        rows, columns = region
        out = np.empty((rows.stop - rows.start, len(units[columns])), dtype)
        at = 0
        for group in range(file.num_row_groups):
            height = file.metadata.row_group(group).num_rows
            if at < rows.stop and rows.start < at + height:
                _fill_wide(out, file, group, units[columns], at - rows.start)
            at += height
        return out

    def label(name: str) -> NDArray[Any] | None:
        if name not in file.schema_arrow.names:
            return None
        return file.read(columns=[name]).column(0).to_numpy()

    shape = (file.metadata.num_rows, len(units))
    return Source(str(path), shape, dtype.itemsize, read, label)


def _fill_wide(
    out: NDArray[Any], file: pq.ParquetFile, group: int, units: list[str], at: int
) -> None:
    """Copy what `out` has of a row group whose first row is the row `at` of it."""
    step = max(1, (_BATCH_ROWS << 4) // max(1, len(units)))
    for batch in file.iter_batches(step, row_groups=[group], columns=units):
        start, stop = max(0, at), min(len(out), at + batch.num_rows)
        if start < stop:
            part = batch.slice(start - at, stop - start)
            for number, column in enumerate(part.columns):
                out[start:stop, number] = column.to_numpy(zero_copy_only=False)
        at += batch.num_rows


def _long(path: Path, file: pq.ParquetFile, wanted: Wanted) -> Source:
    named = (wanted.rows,) if wanted.rows else LABELS
    key = next((name for name in named if name in file.schema_arrow.names), None)
    if key is None:
        raise BadInput(f"{path} has no column {' or '.join(named)}, which says whose rows are.")
    row_of, n_units = _survey(path, file, key)
    if file.metadata.num_rows != len(row_of) * n_units:
        raise BadInput(
            f"{path} has {file.metadata.num_rows} rows, which is not {len(row_of)} stimuli times "
            f"{n_units} units."
        )

    def read(region: Region) -> NDArray[Any]:
        rows, units = region
        out = np.empty((rows.stop - rows.start, units.stop - units.start), np.float32)
        scatter = Scatter(out)
        for batch in file.iter_batches(
            _BATCH_ROWS, row_groups=_groups(file, units), columns=["unit_id", key, "activation"]
        ):
            row, unit = _indices(batch.column(key), row_of), batch.column("unit_id").to_numpy()
            here = (row >= rows.start) & (row < rows.stop)
            here &= (unit >= units.start) & (unit < units.stop)
            values = batch.column("activation").to_numpy(zero_copy_only=False)[here]
            scatter.put((row[here] - rows.start, unit[here] - units.start), values)
        if scatter.fault() is not None:
            raise BadInput(f"{path} has not each stimulus once for each unit.")
        return out

    def label(name: str) -> NDArray[Any] | None:
        return np.array(list(row_of)) if name == key else None

    shape = (len(row_of), n_units)
    return Source(str(path), shape, 32, read, label)


def _survey(path: Path, file: pq.ParquetFile, key: str) -> tuple[dict[Any, int], int]:
    """Number the stimuli of a long file as they come first, and count its units."""
    row_of: dict[Any, int] = {}
    last = -1
    for batch in file.iter_batches(_BATCH_ROWS, columns=["unit_id", key]):
        units = batch.column("unit_id")
        if not pa.types.is_integer(units.type) or units.null_count:
            raise BadInput(f"The column unit_id of {path} holds something else than numbers.")
        for value in pc.unique(batch.column(key)).to_pylist():
            row_of.setdefault(value, len(row_of))
        if len(units):
            low, high = pc.min_max(units).as_py().values()
            if low < 0:
                raise BadInput(f"The units of {path} are numbered from below 0.")
            last = max(last, high)
    return row_of, last + 1


def _indices(keys: pa.Array, row_of: dict[Any, int]) -> NDArray[np.int64]:
    encoded = keys.dictionary_encode() if not pa.types.is_dictionary(keys.type) else keys
    rows = np.array([row_of[value] for value in encoded.dictionary.to_pylist()], np.int64)
    return rows[encoded.indices.to_numpy()]


def _groups(file: pq.ParquetFile, units: slice) -> list[int]:
    """Return the row groups that may hold some of the units."""
    column = file.schema_arrow.names.index("unit_id")
    found = []
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(column).statistics
        if (
            statistics is None
            or not statistics.has_min_max
            or (statistics.min < units.stop and units.start <= statistics.max)
        ):
            found.append(group)
    return found

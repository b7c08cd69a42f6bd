"""Our tables as frames: rows are read from their files, and appended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable

from fexp_store import schemas
from fexp_store.errors import Damaged
from fexp_store.warehouse import commits, delta, parts
from fexp_store.warehouse.parts import Part
from fexp_store.warehouse.storage import Storage

_GROUP_ROWS = 1 << 20


def read(storage: Storage, name: str) -> pl.DataFrame:
    """Read a whole small table; columns that a warehouse of an earlier version lacks are null.

    Raises
    ------
    Damaged
        If a file is missing or is not as it was stored, or the table has other columns.
    """
    table = delta.open_table(storage, name)
    delta.check_columns(table, name)
    frames = [pl.DataFrame(schemas.tables()[name].arrow.empty_table())]
    for file in delta.files(table).iter_rows(named=True):
        part = parts.read(storage, f"{name}/{file['path']}")
        values = {key: file[key] for key in schemas.tables()[name].partition_by}
        rows = with_all_columns(name, schemas.tables()[name].arrow, part, values)
        frames.append(pl.DataFrame(rows))
    return pl.concat(frames)


def append(
    storage: Storage,
    name: str,
    rows: pl.DataFrame,
    *,
    key: str | None = None,
    unless: Callable[[], bool] | None = None,
) -> bool:
    """Append rows in one atomic commit.

    Parameters
    ----------
    rows : DataFrame
        Columns of the table's schema; missing nullable columns are filled with null, and a table
        of an earlier version gets its new columns.
    key, unless : str and callable, optional
        Commits under one key happen one after the other; `unless` is asked again before each
        attempt, and nothing is written once it is true.

    Returns
    -------
    bool
        Whether the rows were written.
    """
    data = conform(rows, schemas.tables()[name].arrow)
    with commits.uncommitted(storage, name) as written:

        def attempt(table: DeltaTable, properties: CommitProperties) -> bool:
            if unless is not None and unless():
                return False
            if not written:
                written.extend(_write(storage, name, data))
            delta.add_columns(table, name)
            commits.commit(storage, name, table, written, properties)
            return True

        done = commits.serialised(storage, name, [key] if key else [], attempt)
        if not done:
            commits.discard(storage, name, [part.path for part in written])
        return done


def complete(storage: Storage, name: str) -> int:
    """Make a table of ours if it is not there, and the columns that it lacks; return how many.

    Raises
    ------
    Damaged
        If it is missing that was always there, or the others are not its columns.
    """
    return commits.serialised(storage, name, [], lambda table, _: delta.add_columns(table, name))


def conform(rows: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """Cast a frame to a table's schema, in its column order, with nulls for what is missing."""
    unknown = set(rows.columns) - set(schema.names)
    if unknown:
        raise ValueError(f"columns that are not in the schema: {sorted(unknown)}")
    columns = [_column(rows, field) for field in schema]
    table = pa.table(columns, schema=schema)
    table.validate(full=True)
    return table


def _column(rows: pl.DataFrame, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    if field.name not in rows.columns:
        return pa.nulls(rows.height, field.type)
    return rows[field.name].to_arrow().cast(field.type)


def _write(storage: Storage, name: str, data: pa.Table) -> Iterator[Part]:
    """Write rows, those of each partition to a file of its own."""
    keys = schemas.tables()[name].partition_by
    for values in data.select(keys).group_by(keys).aggregate([]).to_pylist() if keys else [{}]:
        chosen = [pc.equal(data[key], value) for key, value in values.items()]
        rows = data.filter(reduce(pc.and_, chosen)) if chosen else data
        rows = rows.drop_columns(list(keys)).combine_chunks()
        if rows.num_rows:
            yield parts.write(storage, name, rows.schema, rows.to_batches(_GROUP_ROWS), values)


def with_all_columns(
    name: str, schema: pa.Schema, part: pa.Table, values: Mapping[str, Any]
) -> pa.Table:
    """Add what is not in a file of a table: partition values, and columns of later versions.

    Raises
    ------
    Damaged
        If it has columns of other types, or nulls where there are none.
    """
    columns = []
    for field in schema:
        if field.name in values:
            columns.append(pa.repeat(pa.scalar(values[field.name], field.type), part.num_rows))
        elif field.name in part.column_names:
            columns.append(part[field.name])
        else:
            columns.append(pa.nulls(part.num_rows, field.type))
    try:
        return pa.table(columns, names=schema.names).cast(schema)
    except (ValueError, TypeError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        raise Damaged(
            f"A file of the table {name} has other columns than fexp-store stores ({said}); "
            "restore the folder from a copy."
        ) from error

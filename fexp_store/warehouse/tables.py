"""The Delta Lake tables of a warehouse: create, read, append, and commits that happen once."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, reduce
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import RemoveAction

from fexp_store import schemas
from fexp_store.errors import Damaged
from fexp_store.warehouse import logs, parts
from fexp_store.warehouse.parts import Part
from fexp_store.warehouse.storage import Storage

Result = TypeVar("Result")

_COMMIT = re.compile(r"[0-9]{20}\.json")

# Commits of other writers are retried by delta-rs itself; this bounds retries of our own checks.
_ATTEMPTS = 100
_GROUP_ROWS = 1 << 20

# What another client may ask of readers that changes nothing in how rows are read.
_READ_FEATURES = {"timestampNtz", "vacuumProtocolCheck"}


def names() -> tuple[str, ...]:
    """Return the names of all stored tables, which are also their paths in the warehouse."""
    return tuple(schemas.tables())


def create_missing(storage: Storage) -> None:
    """Create every table that is not there yet (a new warehouse, or a newer fexp-store)."""
    for name in names():
        _create(storage, name)


def open_table(storage: Storage, name: str) -> DeltaTable:
    """Open the newest version of a table; one of ours is made if earlier versions had it not.

    Raises
    ------
    Damaged
        If it is missing, or its log cannot be read.
    """
    if not storage.log(name) and name in schemas.tables():
        if not may_be_missing(name):
            raise Damaged(f"The table {name} is missing; restore its folder from a copy.")
        _create(storage, name)
    return open_at(storage, name)


def may_be_missing(name: str) -> bool:
    """Whether warehouses of earlier versions may lack a table, which is then empty."""
    since = schemas.tables()[name].since
    return since is None or since > 1


def open_at(storage: Storage, path: str) -> DeltaTable:
    """Open the newest version of the table in a folder.

    Raises
    ------
    Damaged
        If its log cannot be read, or another client made it keep rows as fexp-store does not.
    """
    logs.check(storage, path)
    try:
        table = DeltaTable(storage.table(path))
    except (DeltaError, OSError, ValueError) as error:
        if _maps_columns(storage, path):
            raise _not_read(path, "columnMapping") from error
        said = " ".join(str(error).split())
        raise Damaged(
            f"The log of the table {path} cannot be read ({said}); restore its folder from a copy."
        ) from error
    mapped = table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
    features = {*(table.protocol().reader_features or ()), *(["columnMapping"] if mapped else [])}
    if unread := sorted(features - _READ_FEATURES):
        raise _not_read(path, ", ".join(unread))
    return table


def _maps_columns(storage: Storage, path: str) -> bool:
    commits = [name for name in storage.log(path) if name.endswith(".json")]
    return any(b"columnMapping.mode" in storage.read(f"{path}/_delta_log/{c}") for c in commits)


def _not_read(path: str, feature: str) -> Damaged:
    return Damaged(
        f"Another Delta client made the table {path} use {feature}, which fexp-store does not "
        "read; take it back there (deletion vectors: REORG TABLE … APPLY (PURGE), then drop the "
        "feature), or restore the folder from a copy."
    )


def read(storage: Storage, name: str) -> pl.DataFrame:
    """Read a whole small table; columns that a warehouse of an earlier version lacks are null.

    Raises
    ------
    Damaged
        If a file is missing or is not as it was stored, or the table has other columns.
    """
    table = open_table(storage, name)
    check_columns(table, name)
    frames = [pl.DataFrame(schemas.tables()[name].arrow.empty_table())]
    for file in files(table).iter_rows(named=True):
        part = parts.read(storage, f"{name}/{file['path']}")
        values = {key: file[key] for key in schemas.tables()[name].partition_by}
        rows = with_all_columns(name, schemas.tables()[name].arrow, part, values)
        frames.append(pl.DataFrame(rows))
    return pl.concat(frames)


def check_columns(table: DeltaTable, name: str) -> None:
    """Compare the columns in a table's log with its schema; earlier versions may lack some.

    Raises
    ------
    Damaged
        If a column has another type, one that must be there is missing, or one is unknown.
    """
    found = {field.name: field.type for field in table.schema().fields}
    wanted = {field.name: field.type for field in _delta_schema(name).fields}
    lacking = [field for field in schemas.tables()[name].arrow if field.name not in found]
    keys = tuple(table.metadata().partition_columns)
    if (
        any(wanted.get(column) != kind for column, kind in found.items())
        or not all(field.nullable for field in lacking)
        or keys != schemas.tables()[name].partition_by
    ):
        raise Damaged(
            f"The log of the table {name} names other columns than fexp-store stores; "
            "restore its folder from a copy."
        )


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
    with uncommitted(storage, name) as written:

        def attempt(table: DeltaTable, properties: CommitProperties) -> bool:
            if unless is not None and unless():
                return False
            if not written:
                written.extend(_write(storage, name, data))
            _add_columns(table, name)
            commit(storage, name, table, written, properties)
            return True

        done = serialised(storage, name, [key] if key else [], attempt)
        if not done:
            discard(storage, name, [part.path for part in written])
        return done


@contextmanager
def uncommitted(storage: Storage, folder: str) -> Iterator[list[Part]]:
    """Give a list for the files that are written to a table; on failure they are deleted."""
    written: list[Part] = []
    with storage.writing():
        try:
            yield written
        except BaseException:
            discard(storage, folder, [part.path for part in written])
            raise


def discard(storage: Storage, folder: str, paths: Sequence[str]) -> None:
    """Delete files of a table, but none that its log names: an error may come after a commit."""
    with suppress(Damaged):  # then nobody can say what it names, and vacuum comes later
        named = set(files(open_at(storage, folder))["path"]) if storage.log(folder) else set()
        for path in set(paths) - named:
            storage.delete(f"{folder}/{path}")


def commit(
    storage: Storage,
    folder: str,
    table: DeltaTable,
    written: Sequence[Part],
    properties: CommitProperties,
    removed: Sequence[RemoveAction] = (),
) -> None:
    """Make written files a part of a table, all at once.

    Raises
    ------
    Damaged
        If one is not on the disk, before the commit or after it.
    """
    paths = [f"{folder}/{part.path}" for part in written]
    demand_present(storage, paths)
    table.create_write_transaction(
        [*removed, *(part.action for part in written)],
        mode="append",
        schema=table.schema(),
        partition_by=table.metadata().partition_columns,
        commit_properties=properties,
    )
    demand_present(storage, paths)


def removal(row: Mapping[str, Any], keys: Sequence[str]) -> RemoveAction:
    """Return what takes a file out of a table: a row of `files`, and the partition columns."""
    return RemoveAction(
        path=row["path"],
        data_change=True,
        deletion_timestamp=time.time_ns() // 1_000_000,
        partition_values={key: row[key] for key in keys},
        size=row["bytes"],
    )


def demand_present(storage: Storage, paths: Sequence[str]) -> None:
    """Refuse to go on if another program has deleted files that were just written.

    Raises
    ------
    Damaged
        If one is not on the disk.
    """
    for path in set(paths) - storage.signatures(paths).keys():
        raise Damaged(f"{path} was deleted while it was being stored; run the same command again.")


def serialised(
    storage: Storage,
    name: str,
    keys: Sequence[str],
    attempt: Callable[[DeltaTable, CommitProperties], Result],
    *,
    retries: int = _ATTEMPTS,
) -> Result:
    """Run a check and a commit such that no other commit under one of `keys` comes in between.

    Delta Lake refuses a commit whose application transaction another writer has used since the
    table was read; `attempt` is then run again on the newer table.

    Parameters
    ----------
    retries : int
        How often the library may put a commit behind others that came in between. It does so too
        if one of them has taken away the same file, so who takes files away says 0: `attempt` is
        then run again after any commit.
    """
    with storage.writing():
        for number in range(_ATTEMPTS):
            table = open_table(storage, name)
            marks = [Transaction(key, table.version() + 1) for key in keys]
            how = CommitProperties(app_transactions=marks, max_commit_retries=retries)
            try:
                return attempt(table, how)
            except CommitFailedError as error:
                if "Unsupported table features" in str(error):
                    raise Damaged(
                        f"Another Delta client made the table {name} such that it cannot be "
                        f"written to ({error}); drop the feature there."
                    ) from error
                time.sleep(random.uniform(0, 0.01 * min(number + 1, 10)))  # noqa: S311 (no secret)
    raise Damaged(f"The table {name} could not be committed to in {_ATTEMPTS} attempts.")


def files(table: DeltaTable) -> pl.DataFrame:
    """Return the files that make up a version of a table.

    Returns
    -------
    DataFrame
        path (relative to the table), rows, bytes, the partition columns by their names, and the
        statistics that the log has, as ``min.COLUMN`` and ``max.COLUMN``.
    """
    actions = pl.DataFrame(table.get_add_actions(flatten=True))
    if actions.is_empty():
        text = dict.fromkeys(["path", *table.metadata().partition_columns], pl.String)
        return pl.DataFrame(schema=text | {"rows": pl.Int64, "bytes": pl.Int64})
    return actions.select(
        # The log keeps paths percent-encoded, over the encoding of the directory names themselves.
        pl.col("path").map_elements(unquote, return_dtype=pl.String),
        pl.col("num_records").cast(pl.Int64).alias("rows"),
        pl.col("size_bytes").cast(pl.Int64).alias("bytes"),
        pl.col("^partition\\..*$").name.map(lambda name: name.removeprefix("partition.")),
        pl.col("^(min|max)\\..*$"),
    )


def log_versions(storage: Storage) -> dict[str, int]:
    """Return the newest version of each table, read from the names in its log."""
    return {name: log_version(storage, name) for name in names()}


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


@cache
def _delta_schema(name: str) -> Schema:
    return Schema.from_arrow(schemas.tables()[name].arrow)


def complete(storage: Storage, name: str) -> int:
    """Make a table of ours if it is not there, and the columns that it lacks; return how many.

    Raises
    ------
    Damaged
        If it is missing that was always there, or the others are not its columns.
    """
    return serialised(storage, name, [], lambda table, _: _add_columns(table, name))


def _add_columns(table: DeltaTable, name: str) -> int:
    """Give a table of an earlier version the columns that it lacks; return how many."""
    check_columns(table, name)
    found = {field.name for field in table.schema().fields}
    if lacking := [field for field in _delta_schema(name).fields if field.name not in found]:
        table.alter.add_columns(lacking)
    return len(lacking)


def _create(storage: Storage, name: str) -> None:
    schema = schemas.tables()[name]
    create_at(storage, name, schema.arrow, schema.partition_by, schema.comment)


def create_at(
    storage: Storage,
    path: str,
    columns: pa.Schema,
    partition_by: Sequence[str],
    comment: str | None = None,
) -> None:
    """Create a table without rows in a folder, if there is none."""
    # A commit of no rows: DeltaTable.create would put the absolute path into the log.
    with storage.writing(), suppress(CommitFailedError):  # another process has made it
        write_deltalake(
            storage.table(path),
            columns.empty_table(),
            mode="ignore",
            partition_by=list(partition_by),
            description=comment,
        )


def log_version(storage: Storage, path: str) -> int:
    """Return the newest version of the table in a folder; -1 if there is none to be read."""
    try:
        found = commits(storage, path)
    except Damaged:
        return -1
    return int(PurePosixPath(found[-1]).stem) if found else -1


def commits(storage: Storage, path: str) -> list[str]:
    """Return the paths of the commits of the table in a folder, from the oldest to the newest."""
    names = storage.log(path)
    return [f"{path}/_delta_log/{name}" for name in names if _COMMIT.fullmatch(name)]

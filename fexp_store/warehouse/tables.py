"""The Delta Lake tables of a warehouse: create, read, append, and commits that happen once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from fexp_store import schemas
from fexp_store.errors import Damaged
from fexp_store.warehouse.storage import Storage

Result = TypeVar("Result")

# Commits of other writers are retried by delta-rs itself; this bounds retries of our own checks.
_ATTEMPTS = 100

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
    """Open the newest version of a table.

    Raises
    ------
    Damaged
        If it is missing, or its log cannot be read.
    """
    if not storage.log(name):
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
    """Read a whole small table; columns that a warehouse of an earlier version lacks are null."""
    table = open_table(storage, name).to_pyarrow_table()
    for field in schemas.tables()[name].arrow:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    frame = pl.from_arrow(table.select(schemas.tables()[name].arrow.names))
    assert isinstance(frame, pl.DataFrame)
    return frame


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
    whole = conform(rows, schemas.tables()[name].arrow)
    # The table keeps its own comments: Delta Lake refuses a field that comes with another one.
    data = whole.cast(pa.schema([field.remove_metadata() for field in whole.schema]))

    def attempt(table: DeltaTable, commit: CommitProperties) -> bool:
        if unless is not None and unless():
            return False
        write_deltalake(table, data, mode="append", schema_mode="merge", commit_properties=commit)
        return True

    return serialised(storage, name, [key] if key else [], attempt)


def serialised(
    storage: Storage,
    name: str,
    keys: Sequence[str],
    attempt: Callable[[DeltaTable, CommitProperties], Result],
) -> Result:
    """Run a check and a commit such that no other commit under one of `keys` comes in between.

    Delta Lake refuses a commit whose application transaction another writer has used since the
    table was read; `attempt` is then run again on the newer table.
    """
    storage.demand_writable()
    for number in range(_ATTEMPTS):
        table = open_table(storage, name)
        marks = [Transaction(key, table.version() + 1) for key in keys]
        try:
            return attempt(table, CommitProperties(app_transactions=marks, max_commit_retries=100))
        except CommitFailedError as error:
            if "Unsupported table features" in str(error):
                raise Damaged(
                    f"Another Delta client made the table {name} such that it cannot be written to "
                    f"({error}); drop the feature there."
                ) from error
            time.sleep(random.uniform(0, 0.01 * min(number + 1, 10)))  # noqa: S311 (not a secret)
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


def _create(storage: Storage, name: str) -> None:
    schema = schemas.tables()[name]
    # A commit of no rows: DeltaTable.create would put the absolute path into the log.
    with suppress(CommitFailedError):  # another process has made it
        write_deltalake(
            storage.table(name),
            schema.arrow.empty_table(),
            mode="ignore",
            partition_by=list(schema.partition_by),
            description=schema.comment,
        )


def log_version(storage: Storage, path: str) -> int:
    """Return the newest version of the table in a folder; -1 if there is none to be read."""
    try:
        entries = storage.log(path)
    except Damaged:
        return -1
    commits = [int(x[:-5]) for x in entries if x.endswith(".json") and x[:-5].isdigit()]
    return max(commits, default=-1)

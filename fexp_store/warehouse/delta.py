"""Delta tables: made, opened, and what their logs name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import PurePosixPath
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from fexp_store import schemas
from fexp_store.errors import Damaged
from fexp_store.warehouse import logs
from fexp_store.warehouse.storage import Storage

_COMMIT = re.compile(r"[0-9]{20}\.json")

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


def add_columns(table: DeltaTable, name: str) -> int:
    """Give a table of an earlier version the columns that it lacks; return how many."""
    check_columns(table, name)
    found = {field.name for field in table.schema().fields}
    if lacking := [field for field in _delta_schema(name).fields if field.name not in found]:
        table.alter.add_columns(lacking)
    return len(lacking)


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


@cache
def _delta_schema(name: str) -> Schema:
    return Schema.from_arrow(schemas.tables()[name].arrow)


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

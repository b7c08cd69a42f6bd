"""Results that users save under names of their own: Delta tables in ``results/saved``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema

from fexp_store.errors import BadInput, Damaged
from fexp_store.warehouse import commits, delta, parts, runs, space
from fexp_store.warehouse.questions import refusals
from fexp_store.warehouse.storable import as_stored, storable
from fexp_store.warehouse.storage import Storage

if TYPE_CHECKING:
    from fexp_store.warehouse.warehouse import Warehouse

FOLDER = "results/saved"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def names(storage: Storage) -> list[str]:
    """Return the names that something is saved under; a folder of another name is none of ours."""
    return [name for name in _folders(storage) if _has_log(storage, name)]


def unlogged(storage: Storage) -> list[str]:
    """Return the names of folders without a log: of saves that have begun, or it is lost."""
    return [name for name in _folders(storage) if not _has_log(storage, name)]


def finished(rows: pl.DataFrame) -> set[str]:
    """Return the names under which a run has saved something, after the rows of ``runs``."""
    ended = rows.filter(pl.col("seconds").is_not_null(), kind="query")
    return {json.loads(key).get("name") for key in ended["key"]}


def _folders(storage: Storage) -> list[str]:
    return [name for name in storage.folders(FOLDER) if _NAME.fullmatch(name)]


def _has_log(storage: Storage, name: str) -> bool:
    try:
        return bool(storage.log(f"{FOLDER}/{name}"))
    except Damaged:
        return True


def check(name: str) -> None:
    """Check that a name can be that of a table, a view and a directory."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot name a saved result: use lower-case letters, digits and _."
        )


def write(storage: Storage, name: str, run_id: str, reader: pa.RecordBatchReader) -> bool:
    """Append a result in one commit, as it is computed; return whether it has any rows.

    Raises
    ------
    BadInput
        If other columns are saved under the name, or computing a batch fails.
    """
    folder = f"{FOLDER}/{name}"
    schema = storable(reader.schema)
    whole = pa.schema([*schema, pa.field("run_id", pa.string())])
    batches = _batches(storage, schema, reader)
    first = next(batches, None)
    if first is None:
        return False
    if storage.log(folder):  # before the rest is computed
        _check_columns(delta.open_at(storage, folder), name, whole)
    with commits.uncommitted(storage, folder) as written:
        stored = chain([first], batches)
        written.append(parts.write(storage, folder, schema, stored, {"run_id": run_id}))
        delta.create_at(storage, folder, whole, ["run_id"])

        def attempt(table: DeltaTable, properties: CommitProperties) -> None:
            _check_columns(table, name, whole)
            commits.commit(storage, folder, table, written, properties)

        commits.serialised(storage, folder, [], attempt)
    return True


def _batches(
    storage: Storage, schema: pa.Schema, reader: pa.RecordBatchReader
) -> Iterator[pa.RecordBatch]:
    """Give the batches that have rows, in types that can be stored, while the disk has room."""
    while True:
        with refusals():
            batch = next(reader, None)
        if batch is None:
            return
        if batch.num_rows:
            space.demand(storage, batch.nbytes, "the result")
            columns = [as_stored(c, f.type) for c, f in zip(batch.columns, schema, strict=True)]
            yield pa.record_batch(columns, schema=schema)


def _check_columns(table: DeltaTable, name: str, schema: pa.Schema) -> None:
    wanted = Schema.from_arrow(schema).fields
    if [(f.name, f.type) for f in table.schema().fields] != [(f.name, f.type) for f in wanted]:
        raise BadInput(f"saved.{name} has other columns than this result; choose another name.")


def save(wh: Warehouse, name: str, query: str, parameters: dict[str, Any]) -> str:
    """Run a query and store its result, batch by batch, as the view ``saved.NAME``.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and underscores. Saving again under a name adds a run; the view
        shows the newest.
    query : str
        One SELECT; every column needs a name of its own.
    parameters : dict

    Returns
    -------
    str
        The run_id.

    Raises
    ------
    BadInput
        If the query is refused, has no rows, or has other columns than what is saved already.
    """
    check(name)
    wh.storage.demand_writable()
    options = {"query": query, "parameters": parameters}
    run = runs.begin(wh.storage, "query", {"name": name}, options)
    if not write(wh.storage, name, run.run_id, wh.stream(query, parameters)):
        raise BadInput("The query has no rows, so there is nothing to save.")
    runs.record_end(wh.storage, run)
    return run.run_id

"""Results that users save under names of their own: Delta tables in ``results/saved``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from fexp_store.errors import BadInput
from fexp_store.warehouse import runs
from fexp_store.warehouse.questions import refusals
from fexp_store.warehouse.storage import Storage

if TYPE_CHECKING:
    from fexp_store.warehouse.warehouse import Warehouse

FOLDER = "results/saved"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def names(storage: Storage) -> list[str]:
    """Return the names that something is saved under; a folder of another name is none of ours."""
    return [name for name in storage.folders(FOLDER) if _NAME.fullmatch(name)]


def check(name: str) -> None:
    """Check that a name can be that of a table, a view and a directory."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot name a saved result: use lower-case letters, digits and _."
        )


def write(storage: Storage, name: str, run_id: str, reader: pa.RecordBatchReader) -> bool:
    """Append a result in one commit, as it is computed; return whether it has any rows."""
    fields = [_storable(field) for field in reader.schema]
    schema = pa.schema([*fields, pa.field("run_id", pa.string())])
    rows = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in reader:
            rows += batch.num_rows
            columns = [c.cast(f.type) for c, f in zip(batch.columns, fields, strict=True)]
            yield pa.record_batch([*columns, pa.array([run_id] * batch.num_rows)], schema=schema)

    with refusals():
        stored = pa.RecordBatchReader.from_batches(schema, batches())
        first = next(stored, None)
        if first is None:
            return False
        parts = (part for source in ([first], stored) for part in source)
        try:
            write_deltalake(
                storage.table(f"{FOLDER}/{name}"),
                pa.RecordBatchReader.from_batches(schema, parts),
                mode="append",
                partition_by=["run_id"],
            )
        except DeltaError as error:
            raise BadInput(
                f"saved.{name} has other columns than this result; choose another name."
            ) from error
    return rows > 0


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


def _storable(field: pa.Field) -> pa.Field:
    """Delta Lake has neither unsigned integers nor a type for nothing but nulls."""
    kind = field.type
    if pa.types.is_uint64(kind):
        kind = pa.decimal128(20, 0)
    elif pa.types.is_unsigned_integer(kind):
        kind = pa.int64()
    elif pa.types.is_null(kind):
        kind = pa.string()
    return pa.field(field.name, kind)

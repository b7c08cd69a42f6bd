"""Taking files out of logs, and rows that no longer hold out of files."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import RemoveAction

from fexp_store import schemas
from fexp_store.warehouse import commits, delta, parts, tables
from fexp_store.warehouse.storage import Storage

_KEY = "repair"


def take_out(storage: Storage, folder: str, paths: Collection[str]) -> None:
    """Remove files from the log of a table, in one commit; the files themselves stay."""

    def attempt(table: DeltaTable, properties: CommitProperties) -> None:
        live = delta.files(table).filter(pl.col("path").is_in(list(paths)))
        if not live.is_empty():
            commits.commit(storage, folder, table, [], properties, list(_removals(table, live)))

    commits.serialised(storage, folder, [_KEY], attempt, retries=0)


def forget(storage: Storage, run_ids: Collection[str]) -> None:
    """Take away that runs have finished, in one commit, so that they do not count."""
    ended = pl.col("run_id").is_in(list(run_ids)) & pl.col("seconds").is_not_null()
    schema = schemas.tables()["runs"].arrow
    with commits.uncommitted(storage, "runs") as written:

        def attempt(table: DeltaTable, properties: CommitProperties) -> None:
            if written:  # in an attempt before
                commits.discard(storage, "runs", [part.path for part in written])
                written.clear()
            live, changed = delta.files(table), []
            for path in live["path"]:
                rows = pl.DataFrame(parts.read(storage, f"runs/{path}"))
                kept = rows.filter(~ended)
                if kept.height < rows.height:
                    changed.append(path)
                    if kept.height:
                        data = tables.conform(kept, schema).combine_chunks()
                        written.append(parts.write(storage, "runs", schema, data.to_batches()))
            removed = _removals(table, live.filter(pl.col("path").is_in(changed)))
            if changed:
                commits.commit(storage, "runs", table, written, properties, list(removed))

        if run_ids:
            commits.serialised(storage, "runs", [_KEY], attempt, retries=0)


def _removals(table: DeltaTable, live: pl.DataFrame) -> Iterator[RemoveAction]:
    keys = table.metadata().partition_columns
    return (commits.removal(row, keys) for row in live.iter_rows(named=True))

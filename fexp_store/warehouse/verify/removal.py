"""Taking files out of logs, and rows that no longer hold out of files."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import RemoveAction

from fexp_store.warehouse import scans, tables
from fexp_store.warehouse.storage import Storage

_KEY = "repair"


def take_out(storage: Storage, folder: str, paths: Collection[str]) -> None:
    """Remove files from the log of a table, in one commit; the files themselves stay."""

    def attempt(table: DeltaTable, properties: CommitProperties) -> None:
        live = tables.files(table).filter(pl.col("path").is_in(list(paths)))
        if not live.is_empty():
            table.create_write_transaction(
                list(_removals(table, live)),
                mode="append",
                schema=table.schema(),
                partition_by=table.metadata().partition_columns,
                commit_properties=properties,
            )

    tables.serialised(storage, folder, [_KEY], attempt)


def forget(storage: Storage, run_ids: Collection[str]) -> None:
    """Take away that runs have finished, in one commit, so that they do not count."""
    listed = ", ".join(scans.quote(run_id) for run_id in sorted(run_ids))
    ended = f"run_id IN ({listed}) AND seconds IS NOT NULL"

    def attempt(table: DeltaTable, properties: CommitProperties) -> None:
        table.delete(ended, commit_properties=properties)

    if run_ids:
        tables.serialised(storage, "runs", [_KEY], attempt)


def _removals(table: DeltaTable, live: pl.DataFrame) -> Iterator[RemoveAction]:
    for row in live.iter_rows(named=True):
        yield RemoveAction(
            path=row["path"],
            data_change=True,
            deletion_timestamp=time.time_ns() // 1_000_000,
            partition_values={key: row[key] for key in table.metadata().partition_columns},
            size=row["bytes"],
        )

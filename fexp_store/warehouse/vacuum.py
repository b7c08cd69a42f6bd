"""Removing what interrupted work left behind: files that no log names."""

from __future__ import annotations

import time
from dataclasses import dataclass

from fexp_store.errors import BadInput
from fexp_store.warehouse import tables
from fexp_store.warehouse.storage import Storage

SAFE_HOURS = 24.0
"""Orphans younger than this may belong to an ingest that is about to commit them."""

_PATIENCE = 10.0  # seconds to wait for writers


@dataclass(frozen=True)
class Orphan:
    """A file that no table names; its path is relative to the warehouse."""

    path: str
    bytes: int


def orphans(storage: Storage, older_than_hours: float = SAFE_HOURS) -> list[Orphan]:
    """Find Parquet files of tables that no version of their log names, and temporary files.

    Parameters
    ----------
    older_than_hours : float
        Files that were changed since are left alone.

    Raises
    ------
    BadInput
        If the age is negative.
    """
    if older_than_hours < 0:
        raise BadInput("The age is at least 0 hours.")
    # The age is taken before the logs are read: a file committed after that is too young.
    latest = time.time() - older_than_hours * 3600
    old = [path for path in _candidates(storage) if storage.changed(path) <= latest]
    named = {
        f"{name}/{path}"
        for name in tables.names()
        for path in tables.files(tables.open_table(storage, name))["path"]
    }
    return [Orphan(path, storage.size(path)) for path in sorted(set(old) - named)]


def vacuum(storage: Storage, older_than_hours: float = SAFE_HOURS) -> list[Orphan]:
    """Delete what `orphans` finds, and return it.

    Raises
    ------
    Conflict
        If other processes are writing to the warehouse.
    """
    with storage.alone(_PATIENCE, lambda: None):
        found = orphans(storage, older_than_hours)
        for orphan in found:
            storage.delete(orphan.path)
    return found


def _candidates(storage: Storage) -> list[str]:
    parquet = [
        path
        for name in tables.names()
        for path in storage.files(name)
        # Checkpoints of the log are Parquet too.
        if path.endswith(".parquet") and "_delta_log" not in path
    ]
    return parquet + [path for path in storage.files() if storage.temporary(path)]

"""Removing what interrupted work left behind: files that no log names."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from fexp_store.errors import BadInput
from fexp_store.warehouse import tables
from fexp_store.warehouse.files import TEMPORARY_SUFFIX

SAFE_HOURS = 24.0
"""Orphans younger than this may belong to an ingest that is about to commit them."""


@dataclass(frozen=True)
class Orphan:
    """A file that no table names.

    Parameters
    ----------
    path : Path
    bytes : int
    """

    path: Path
    bytes: int


def orphans(root: Path, older_than_hours: float = SAFE_HOURS) -> list[Orphan]:
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
    old = [path for path in _candidates(root) if path.stat().st_mtime <= latest]
    named = {
        root / name / path
        for name in tables.names()
        for path in tables.files(tables.open_table(root, name))["path"]
    }
    return [Orphan(path, path.stat().st_size) for path in sorted(set(old) - named)]


def vacuum(root: Path, older_than_hours: float = SAFE_HOURS) -> list[Orphan]:
    """Delete what `orphans` finds, and return it."""
    found = orphans(root, older_than_hours)
    for orphan in found:
        orphan.path.unlink(missing_ok=True)
    return found


def _candidates(root: Path) -> list[Path]:
    parquet = [
        path
        for name in tables.names()
        for path in (root / name).rglob("*.parquet")
        if "_delta_log" not in path.parts  # checkpoints of the log are Parquet too
    ]
    return parquet + list(root.rglob(f".*{TEMPORARY_SUFFIX}*"))

"""Removing what interrupted work left behind, and what was taken out of the tables.

No clock decides alone: whoever writes holds the lock `writing` until a log names the files, and
`vacuum` begins when nobody does. Ages are by the clock of the disk. What others may write, who
hold no lock (other Delta clients, and DuckDB its spill files), stays for `SAFE_HOURS` at least.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from fexp_store.errors import BadInput, Damaged, FexpError
from fexp_store.warehouse import delta, saved, tables
from fexp_store.warehouse.actions import parse
from fexp_store.warehouse.storage import STAGED, Signature, Storage
from fexp_store.warehouse.verify import logs

SAFE_HOURS = 24.0
"""Age of orphans that nobody is expected to commit or to read any more."""

_PATIENCE = 10.0  # seconds to wait for writers
_HOUR = 3_600_000_000_000  # nanoseconds

_OURS = re.compile(r"part-(?:[0-9a-f]{32}){1,2}\.parquet")
_DATA = re.compile(r".*\.parquet(?:#[0-9]+)?")
_PASSING = (".local/spill/", ".local/scratch/")


@dataclass(frozen=True)
class Orphan:
    """A file that nothing needs; its path is relative to the warehouse."""

    path: str
    bytes: int


@dataclass(frozen=True)
class Found:
    """What `find` found.

    Parameters
    ----------
    orphans : list of Orphan
        By their paths.
    spared : dict of str to str
        Sentences on tables of which nothing is an orphan, since their logs do not tell, by folder.
    """

    orphans: list[Orphan]
    spared: dict[str, str]


def find(storage: Storage, older_than_hours: float = SAFE_HOURS) -> Found:
    """Find the files of tables that nothing needs, and temporary files that nobody will miss.

    A table needs the files that its newest version names, and those that a commit younger than
    the age took out of it.

    Parameters
    ----------
    older_than_hours : float
        Files that were changed since are left alone, by the clock of the disk.

    Raises
    ------
    BadInput
        If the age is negative.
    """
    if not older_than_hours >= 0:
        raise BadInput("The age is at least 0 hours.")
    # The files are listed before the logs are read: one that is committed after that is named.
    age = _Ages(storage.now(), older_than_hours)
    there = storage.signatures(storage.files())
    saves = [*saved.names(storage), *saved.unlogged(storage)]
    folders = [*delta.names(), *(f"{saved.FOLDER}/{name}" for name in saves)]
    old: dict[str, str | None] = {}
    for path, now in there.items():
        table = next((folder for folder in folders if path.startswith(f"{folder}/")), None)
        hours = _hours(storage, path, table, older_than_hours)
        if hours is not None and not age.younger(now, hours):
            old[path] = table
    needed: set[str] = set()
    spared: dict[str, str] = {}
    for table in sorted({table for table in old.values() if table is not None}):
        try:
            needed |= _needed(storage, table, there, age)
        except FexpError as error:
            said = str(error).rstrip(".")
            spared[table] = f"Nothing of the table {table} is deleted: {said}. Run: fexp verify"
    return Found(
        [
            Orphan(path, there[path].size)
            for path, table in sorted(old.items(), key=lambda item: item[0])
            if path not in needed and table not in spared
        ],
        spared,
    )


def vacuum(
    storage: Storage,
    older_than_hours: float = SAFE_HOURS,
    waiting: Callable[[], object] = lambda: None,
) -> Found:
    """Delete what `find` finds while nobody writes, and return it.

    Parameters
    ----------
    waiting : callable
        Called once if others are writing, whose end is then waited for, but not for long.

    Raises
    ------
    Conflict
        If other processes go on writing to the warehouse.
    """
    with storage.alone(_PATIENCE, waiting):
        found = find(storage, older_than_hours)
        for orphan in found.orphans:
            storage.delete(orphan.path)
    return found


@dataclass(frozen=True)
class _Ages:
    now: int
    hours: float

    def younger(self, file: Signature, hours: float | None = None) -> bool:
        """Whether a file was changed within some hours, those that were asked for if not said."""
        return self.now - file.modified < (self.hours if hours is None else hours) * _HOUR


def _needed(storage: Storage, folder: str, there: Mapping[str, Signature], age: _Ages) -> set[str]:
    """Return the files that a table needs; Damaged if its log does not tell."""
    if folder not in delta.names() and not storage.log(folder):
        if PurePosixPath(folder).name in saved.finished(tables.read(storage, "runs")):
            raise Damaged("Its log is missing.")
        return set()  # of a first save, which was interrupted
    for fault in logs.faults(storage, folder):
        raise Damaged(fault.fault)
    live = delta.files(delta.open_at(storage, folder))["path"]
    needed = {f"{folder}/{path}" for path in live}
    gone = needed - there.keys()
    if gone := gone - storage.signatures(gone).keys():
        raise Damaged(f"{min(gone)} is missing.")  # or its name in the log is another one
    for commit in delta.commits(storage, folder):
        if commit not in there or age.younger(there[commit]):
            actions = parse(storage.read(commit))
            removed = (unquote(action["path"]) for name, action in actions if name == "remove")
            needed |= {f"{folder}/{path}" for path in removed}
    return needed


def _hours(storage: Storage, path: str, folder: str | None, asked: float) -> float | None:
    """Return the age at which a file that nothing needs can go; None if it is no such file."""
    at_least = max(asked, SAFE_HOURS)
    if storage.temporary(path):
        return asked
    if path.startswith(_PASSING):
        return at_least
    if folder is None:
        return None
    *inside, name = path.removeprefix(f"{folder}/").split("/")
    if inside == ["_delta_log"]:
        return at_least if STAGED.fullmatch(name) else None
    if any(part.startswith(("_", ".")) for part in [*inside, name]) or not _DATA.fullmatch(name):
        return None
    return asked if _OURS.fullmatch(name) else at_least

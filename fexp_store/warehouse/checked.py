"""Which files this user of this machine has hashed, by size, times and inode, as git does.

What is remembered is in the user's own cache, never in a warehouse: nobody can send it along.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from fexp_store.errors import Damaged
from fexp_store.progress import Started, silent
from fexp_store.warehouse.storage import Signature, Storage

_TABLE = (
    "CREATE TABLE IF NOT EXISTS checked (location TEXT, path TEXT, signature TEXT, sha256 TEXT,"
    " PRIMARY KEY (location, path)) WITHOUT ROWID"
)
_FIND = "SELECT path, signature, sha256 FROM checked WHERE location = ?"
_KEEP = "INSERT OR REPLACE INTO checked VALUES (?, ?, ?, ?)"


def cache_folder() -> Path:
    """Return the folder of what fexp may forget, which is this user's alone; it is made.

    ``FEXP_CACHE`` names another one than the platform's.
    """
    named = os.environ.get("FEXP_CACHE")
    folder = Path(named) if named else user_cache_path("fexp-store")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def signature(storage: Storage, path: str) -> Signature | None:
    """Return what tells a file's state on the disk; None if there is no file."""
    try:
        return storage.signature(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def known(storage: Storage, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Return the SHA-256 of files that are as they were when they were hashed last, by path.

    Parameters
    ----------
    paths : iterable of str, optional
        In the warehouse; all that are remembered by default.
    """
    wanted = None if paths is None else set(paths)
    found = {}
    with _remembered() as connection:
        rows = [] if connection is None else connection.execute(_FIND, [storage.location])
        for path, text, digest in rows:
            if wanted is not None and path not in wanted:
                continue
            now = signature(storage, path)
            if now is not None and now.text == text:
                found[path] = digest
    return found


def remember(storage: Storage, digests: Mapping[str, str]) -> None:
    """Remember the SHA-256 of files, by path, as they are on the disk now."""
    rows = [
        (storage.location, path, now.text, digest)
        for path, digest in digests.items()
        if (now := signature(storage, path)) is not None
    ]
    with _remembered() as connection:
        if connection is not None:
            connection.executemany(_KEEP, rows)


def check(storage: Storage, digests: Mapping[str, str], *, started: Started = silent) -> None:
    """Compare files with the SHA-256 that they should have, and remember those that have it.

    Parameters
    ----------
    digests : mapping of str to str
        SHA-256 by path. Files that are remembered are not read again.
    started : callable
        Called with the number of bytes to read if there are any.

    Raises
    ------
    Damaged
        If a file is missing or has other bytes.
    """
    had = known(storage, digests)
    rest = {path: digest for path, digest in digests.items() if had.get(path) != digest}
    if not rest:
        return
    for path in rest:
        if signature(storage, path) is None:
            raise Damaged(f"{storage.uri(path)} is missing. {REMEDY}")
    advance = started(sum(storage.size(path) for path in rest))
    same = {}
    try:
        for path, digest in rest.items():
            if storage.sha256(path, advance) != digest:
                raise Damaged(f"{storage.uri(path)} is not the file that was stored. {REMEDY}")
            same[path] = digest
    finally:
        remember(storage, same)


REMEDY = "Restore it from a copy, or run: fexp verify --repair"
"""What helps against a file that is gone or is another."""


@contextmanager
def _remembered() -> Iterator[sqlite3.Connection | None]:
    """Open what is remembered; None where it cannot be (it only saves time)."""
    try:
        connection = sqlite3.connect(cache_folder() / "checked.sqlite", timeout=10)
        connection.execute(_TABLE)
    except (OSError, sqlite3.Error):
        yield None
        return
    with closing(connection), connection:
        yield connection

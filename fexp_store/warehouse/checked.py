"""Which files this user of this machine has hashed, by size, times and inode, as git does.

What is remembered is in the user's own cache, never in a warehouse: nobody can send it along.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

from fexp_store.errors import Damaged
from fexp_store.progress import Started, silent
from fexp_store.warehouse.storage import Signature, Storage, cache_folder

_TABLE = (
    "CREATE TABLE IF NOT EXISTS checked (location TEXT, path TEXT, signature TEXT, sha256 TEXT,"
    " PRIMARY KEY (location, path)) WITHOUT ROWID"
)
_FIND = "SELECT path, signature, sha256 FROM checked WHERE location = ?"
_FEW = 500
_KEEP = "INSERT OR REPLACE INTO checked VALUES (?, ?, ?, ?)"


def known(storage: Storage, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Return the SHA-256 of files that are as they were when they were hashed last, by path.

    Parameters
    ----------
    paths : iterable of str, optional
        In the warehouse; all that are remembered by default.
    """
    if paths is None:
        paths = [path for path, _, _ in _rows(storage, None)]
    return matching(storage, storage.signatures(paths))


def matching(storage: Storage, now: Mapping[str, Signature]) -> dict[str, str]:
    """Return the SHA-256 of files by path, if they have the signatures that they were hashed with.

    Parameters
    ----------
    now : mapping
        Signatures by path.
    """
    return {
        path: digest
        for path, text, digest in _rows(storage, now)
        if path in now and now[path].text == text
    }


def remember(storage: Storage, digests: Mapping[str, str]) -> None:
    """Remember the SHA-256 of files, by path, as they are on the disk now."""
    now = storage.signatures(digests)
    rows = [
        (storage.location, path, now[path].text, digest)
        for path, digest in digests.items()
        if path in now
    ]
    with _remembered() as connection:
        if connection is not None:
            connection.executemany(_KEEP, rows)


def check(storage: Storage, digests: Mapping[str, str], *, started: Started = silent) -> None:
    """Compare files with the SHA-256 that they should have, and remember what they have.

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
    for path in different(storage, digests, started=started):
        try:
            storage.signature(path)
        except OSError:
            raise Damaged(f"{path} is missing. {REMEDY}") from None
        raise Damaged(f"{path} {ANOTHER} {REMEDY}")


def different(
    storage: Storage, digests: Mapping[str, str], *, started: Started = silent
) -> list[str]:
    """Return which files are missing or have other bytes, as `check` compares them."""
    had = known(storage, digests)
    there = storage.signatures(digests)
    rest = [path for path in digests if path not in had and path in there]
    advance = started(sum(there[path].size for path in rest)) if rest else silent(0)
    hashed: dict[str, str] = {}
    try:
        for path in rest:
            hashed[path] = storage.sha256(path, advance)
    finally:
        remember(storage, hashed)
    found = had | hashed
    return [path for path, digest in digests.items() if found.get(path) != digest]


ANOTHER = "is not the file that was stored."
"""What is said of a file with other bytes, after its path."""

REMEDY = "Restore it from a copy, or run: fexp verify --repair"
"""What helps against a file that is gone or is another."""


def _rows(storage: Storage, paths: Collection[str] | None) -> list[tuple[str, str, str]]:
    """Return what is remembered of some files at least; of all if that is as quick, or None."""
    some, values = "", [storage.location]
    if paths is not None and len(paths) <= _FEW:
        some, values = f" AND path IN ({', '.join('?' * len(paths))})", [*values, *paths]
    with _remembered() as connection:
        if connection is not None:
            return connection.execute(_FIND + some, values).fetchall()
    return []


@contextmanager
def _remembered() -> Iterator[sqlite3.Connection | None]:
    """Open what is remembered; None where it cannot be, and what fails is not done.

    It only saves time: a disk may be full, or the file be damaged.
    """
    try:
        connection = sqlite3.connect(cache_folder() / "checked.sqlite", timeout=10)
        connection.execute(_TABLE)
    except (OSError, sqlite3.Error):
        yield None
        return
    with suppress(sqlite3.Error), closing(connection), connection:
        yield connection

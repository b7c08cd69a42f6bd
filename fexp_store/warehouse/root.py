"""The warehouse directory itself: made by ``fexp init``, recognised by ``warehouse.json``."""

from __future__ import annotations

import json
import shlex
import uuid
from pathlib import Path

from fexp_store.errors import BadInput, Conflict, Damaged, NotFound
from fexp_store.outputs import MARKER
from fexp_store.warehouse import delta
from fexp_store.warehouse.storage import Storage, storage_of

FORMAT_VERSION = 3


def create(path: str | Path) -> Storage:
    """Create a warehouse in a directory that is absent or empty (but for a README or hidden files).

    Returns
    -------
    Storage
        Of the warehouse.

    Raises
    ------
    Conflict
        If the directory is a warehouse already.
    BadInput
        If it holds other files.
    """
    storage = storage_of(path)
    if storage.exists(MARKER):
        raise Conflict(f"{storage.location} is a warehouse already.")
    strangers = _strangers(storage)
    is_file = storage.exists("") and not storage.is_folder("")
    if strangers or is_file:
        named = f": it holds {strangers[0]}" if strangers else ": it is a file"
        raise BadInput(
            f"{storage.location} cannot become a warehouse{named}; choose an empty directory."
        )
    before = set(storage.files())
    storage.make()
    try:
        delta.create_missing(storage)
        # The marker comes last: a directory is a warehouse only once its tables are there.
        mark(storage)
    except Exception:  # a full disk, for one
        if not storage.exists(MARKER):  # or another process was quicker
            for made in set(storage.files()) - before:
                storage.delete(made)
        raise
    return storage


def mark(storage: Storage, warehouse_id: str | None = None) -> None:
    """Write the marker, by which a directory is a warehouse of this version's format.

    Parameters
    ----------
    warehouse_id : str, optional
        The id that it has; a new one by default.
    """
    marker = {"format_version": FORMAT_VERSION, "warehouse_id": warehouse_id or str(uuid.uuid4())}
    storage.write(MARKER, json.dumps(marker, indent=2).encode() + b"\n")


def locate(path: str | Path) -> Storage:
    """Return the storage of an existing warehouse.

    Raises
    ------
    NotFound
        If the directory is not a warehouse.
    Damaged
        If its format is newer than this version reads, or ``warehouse.json`` cannot be read.
    """
    storage = storage_of(path)
    try:
        version = format_version(storage)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"{storage.location} is no warehouse; "
            f"make one with: fexp -w {shlex.quote(str(path))} init"
        ) from None
    if version > FORMAT_VERSION:
        raise Damaged(
            f"{storage.location} has format {version} and this fexp-store reads up to "
            f"{FORMAT_VERSION}; install a newer fexp-store."
        )
    return storage


def format_version(storage: Storage) -> int:
    """Return the format of a warehouse, as its marker says.

    Raises
    ------
    FileNotFoundError
        If it has no marker.
    Damaged
        If the marker cannot be read.
    """
    version = storage.record(MARKER).get("format_version")
    if type(version) is not int or version < 1:
        raise Damaged(f"{MARKER} names no format of a warehouse; restore it from a copy.")
    return version


def is_warehouse(path: str | Path) -> bool:
    """Whether there is a warehouse."""
    return storage_of(path).exists(MARKER)


def _strangers(storage: Storage) -> list[str]:
    # Tables without a marker are what an interrupted `fexp init` leaves: it may simply go on.
    ours = {"README.md", *(name.split("/")[0] for name in delta.names())}
    return [n for n in storage.names() if not n.startswith(".") and n not in ours]

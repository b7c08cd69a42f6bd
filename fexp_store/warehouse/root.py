"""The warehouse directory itself: made by ``fexp init``, recognised by ``warehouse.json``."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from fexp_store.errors import BadInput, Conflict, Damaged, NotFound
from fexp_store.warehouse import tables
from fexp_store.warehouse.files import write_bytes

FORMAT_VERSION = 2
MARKER = "warehouse.json"


def create(path: str | Path) -> Path:
    """Create a warehouse in a directory that is absent or empty (but for a README or hidden files).

    Returns
    -------
    Path
        The warehouse's root, absolute.

    Raises
    ------
    Conflict
        If the directory is a warehouse already.
    BadInput
        If it holds other files.
    """
    root = Path(path).resolve()
    if (root / MARKER).exists():
        raise Conflict(f"{root} is a warehouse already.")
    strangers = sorted(_strangers(root)) if root.is_dir() else []
    if strangers or (root.exists() and not root.is_dir()):
        named = f": it holds {strangers[0]}" if strangers else ": it is a file"
        raise BadInput(f"{root} cannot become a warehouse{named}; choose an empty directory.")
    root.mkdir(parents=True, exist_ok=True)
    tables.create_missing(root)
    # The marker comes last: a directory is a warehouse only once its tables are there.
    marker = {"format_version": FORMAT_VERSION, "warehouse_id": str(uuid.uuid4())}
    write_bytes(root / MARKER, json.dumps(marker, indent=2).encode() + b"\n")
    return root


def locate(path: str | Path) -> Path:
    """Return the absolute root of an existing warehouse.

    Raises
    ------
    NotFound
        If the directory is not a warehouse.
    Damaged
        If its format is newer than this version reads, or ``warehouse.json`` cannot be read.
    """
    if "://" in str(path):
        raise BadInput(f"{path} is a URL; this version opens warehouses in local directories only.")
    root = Path(path).resolve()
    try:
        marker = json.loads((root / MARKER).read_text("utf-8"))
        format_version = int(marker["format_version"])
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{root} is no warehouse; make one with: fexp -w {path} init") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{root / MARKER} cannot be read: {error}.") from None
    if format_version > FORMAT_VERSION:
        raise Damaged(
            f"{root} has format {format_version} and this fexp-store reads up to {FORMAT_VERSION}; "
            "install a newer fexp-store."
        )
    return root


def _strangers(root: Path) -> list[str]:
    # Tables without a marker are what an interrupted `fexp init` leaves: it may simply go on.
    ours = {"README.md", *(name.split("/")[0] for name in tables.names())}
    return [p.name for p in root.iterdir() if not p.name.startswith(".") and p.name not in ours]

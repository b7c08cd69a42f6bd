"""Comparing everything that a warehouse holds with what was stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from fexp_store.errors import FexpError
from fexp_store.outputs import MARKER
from fexp_store.progress import Advance, Started, silent
from fexp_store.warehouse import checked, contents, delta, root, saved
from fexp_store.warehouse.activations.fragment import TABLE
from fexp_store.warehouse.catalog import FILE_NAME
from fexp_store.warehouse.contents import Contents
from fexp_store.warehouse.storage import Storage, storage_of
from fexp_store.warehouse.verify import files, logs, rest, rows
from fexp_store.warehouse.verify.fault import REPAIR, RESTORE, Fault, Kind
from fexp_store.warehouse.verify.files import Stated

_VERIFIED = "verified.json"


@dataclass
class Report:
    """What `verify` found.

    Parameters
    ----------
    faults : list of Fault
        What is not as it was stored.
    unverified : list of Fault
        What may be right, but nothing says what was stored.
    files, bytes : int
        That were looked at.
    """

    faults: list[Fault] = field(default_factory=list)
    unverified: list[Fault] = field(default_factory=list)
    files: int = 0
    bytes: int = 0


def locate(path: str | Path) -> Storage:
    """Return the storage of a warehouse whose marker may be damaged or gone.

    Raises
    ------
    NotFound
        If there is nothing of a warehouse.
    """
    storage = storage_of(path)
    if not storage.exists(MARKER) and not storage.log(TABLE):
        return root.locate(path)
    return storage


def verify(storage: Storage, *, quick: bool = False, started: Started = silent) -> Report:
    """Compare all files of a warehouse with what logs, records and names say of them.

    What is hashed and right is remembered on this machine, and so is when all was found right.

    Parameters
    ----------
    quick : bool
        Only look whether files are there and have their sizes, and read logs and small tables.
    started : callable
        Called with the number of bytes to read.
    """
    begun = datetime.now(UTC)
    report = Report()
    report.faults += [*rest.marker_faults(storage), *rest.record_faults(storage)]
    for table in _tables(storage):
        report.faults += logs.faults(storage, table)
    found = contents.read(storage)
    absent = contents.examine(storage, found.listed).faults
    whats = {file: _kind(file) for file in found.listed["file"]}
    report.faults += [Fault(whats[f], f, *_halves(said)) for f, said in sorted(absent.items())]
    listed = found.listed.filter(~pl.col("file").is_in(list(absent)))
    images = [] if quick else rest.kept_images(storage)
    hashed = [] if quick else checked.known(storage, [FILE_NAME])
    sizes = storage.signatures([*listed["file"], *images, *hashed])
    report.files, report.bytes = len(sizes), sum(now.size for now in sizes.values())
    advance = started(report.bytes)
    stated = _stated(found)
    for row in listed.iter_rows(named=True):
        report.unverified += _unknown(found, row)
        said = files.record_fault(stated[row["file"]])
        if said is None and (not quick or row["table_name"] in found.rows):
            said = _fault(storage, row, stated[row["file"]], advance)
        if said is not None:
            report.faults.append(Fault(_kind(row["file"]), row["file"], *_halves(said)))
    report.faults += rest.missing_images(storage, found.rows.get("stimuli"))
    if not quick:
        report.faults += rest.image_faults(storage, images, advance)
        report.faults += rest.catalog_faults(storage, advance)
    report.faults += rows.faults(found)
    report.unverified += rows.unfinished(found)
    report.faults += _unexplained(found, report.faults)
    if not quick and not report.faults:
        _remember(storage, begun)
    return report


def last_verified(storage: Storage) -> datetime | None:
    """Return when this user last found everything right here; None if that never was."""
    try:
        return datetime.fromisoformat(json.loads(storage.cache().read(_VERIFIED))["when"])
    except (OSError, ValueError, KeyError, TypeError, FexpError):
        return None


def _remember(storage: Storage, when: datetime) -> None:
    with suppress(OSError, FexpError):
        storage.cache().write(_VERIFIED, json.dumps({"when": when.isoformat()}).encode())


def _tables(storage: Storage) -> list[str]:
    """Return the folders of tables that are there, or ought to be."""
    ours = [n for n in delta.names() if storage.names(n) or not delta.may_be_missing(n)]
    return [*ours, *(f"{saved.FOLDER}/{name}" for name in saved.names(storage))]


def _kind(file: str) -> Kind:
    return Kind.activations if file.startswith(f"{TABLE}/") else Kind.part


def _halves(sentence: str) -> tuple[str, str]:
    return sentence.removesuffix(checked.REMEDY).strip(), REPAIR


def _stated(found: Contents) -> dict[str, Stated]:
    """Return what logs say of every file, and our records of activations, by path."""
    fragments = found.rows.get("fragments", pl.DataFrame({"path": []}))
    records = {row["path"]: row for row in fragments.iter_rows(named=True)}
    return {
        f"{folder}/{row['path']}": Stated(
            row, records.get(row["path"]) if folder == TABLE else None
        )
        for folder, kept in (found.kept | found.saved).items()
        for row in kept.files.iter_rows(named=True)
    }


def _unknown(found: Contents, row: dict[str, Any]) -> Iterator[Fault]:
    """Give a file of which nobody knows what its bytes were."""
    kind = _kind(row["file"])
    if row["sha256"] is not None or (kind is Kind.activations and "fragments" not in found.rows):
        return
    if kind is Kind.activations:
        said = "Another program wrote it, and nothing is recorded of it."
        yield Fault(kind, row["file"], said, "Run: fexp verify --repair")
    else:
        said = "An earlier version wrote it, and nothing says what its bytes were."
        yield Fault(kind, row["file"], said, "Run: fexp upgrade")


def _fault(storage: Storage, row: dict[str, Any], stated: Stated, advance: Advance) -> str | None:
    """Say what is wrong with a file that is there and has its size."""
    if row["sha256"] is not None:
        digest = storage.sha256(row["file"], advance)
        checked.remember(storage, {row["file"]: digest})  # another one too: queries then refuse it
        if digest != row["sha256"]:
            return "It is not the file that was stored."
    else:
        advance(storage.size(row["file"]))
    if row["table_name"] == TABLE:
        return files.activations_fault(storage, row["path"], stated)
    return files.part_fault(storage, row["file"], stated.log["rows"])


def _unexplained(found: Contents, faults: list[Fault]) -> Iterator[Fault]:
    """Give tables that cannot be read though nothing is wrong with a file of theirs."""
    for name, sentence in found.broken.items():
        if not any(fault.where.startswith(f"{name}/") for fault in faults):
            yield Fault(Kind.rows, name, sentence, RESTORE)

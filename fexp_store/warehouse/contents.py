"""What the tables hold: rows, files that the logs name, and what of those is as it was stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
from deltalake.exceptions import DeltaError

from fexp_store import schemas
from fexp_store.errors import Damaged, FexpError
from fexp_store.warehouse import checked, delta, parts, saved, tables
from fexp_store.warehouse.activations.foreign import COLUMNS, with_ranges
from fexp_store.warehouse.activations.fragment import TABLE
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage

_RECORD = ["path", "sha256", *Place._fields]
_READING = (
    *(FexpError, DeltaError, OSError, ValueError, TypeError),
    *(pa.ArrowException, pl.exceptions.PolarsError),
)
LISTED = {"file": pl.String, "bytes": pl.Int64, "sha256": pl.String, "contradiction": pl.String}
"""Of each live file: its path in the warehouse, what the log and our records say of it, and a
sentence if they contradict one another."""


@dataclass(frozen=True)
class Kept:
    """A table whose rows stay in files.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of all its columns.
    keys : tuple of str
        Its partition columns.
    files : DataFrame
        path (in the table's folder), bytes and the partition values, as the log says.
    """

    schema: pa.Schema
    keys: tuple[str, ...]
    files: pl.DataFrame


@dataclass
class Contents:
    """All that a catalog shows, by folder of the table.

    Parameters
    ----------
    rows : dict
        Of the tables that a catalog copies.
    kept : dict
        The other tables of ours.
    saved : dict
        Results that users saved.
    broken : dict
        Sentences on tables that cannot be read.
    foreign : DataFrame
        Files of activations of which we have no record: what `with_ranges` says of them.
    listed : DataFrame
        Every live file, of the tables in `rows` too: columns of `LISTED`, table_name (its folder),
        path in it, and the partition values of tables of ours.
    """

    rows: dict[str, pl.DataFrame] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    saved: dict[str, Kept] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    foreign: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COLUMNS))
    listed: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LISTED))


class Examined(NamedTuple):
    """What is wrong with files, in sentences by path, and which are not hashed yet (SHA-256)."""

    faults: dict[str, str]
    unchecked: dict[str, str]


def versions(storage: Storage) -> dict[str, int]:
    """Return the newest version of every table, saved results too."""
    folders = [f"{saved.FOLDER}/{name}" for name in saved.names(storage)]
    return delta.log_versions(storage) | {
        folder: delta.log_version(storage, folder) for folder in folders
    }


def read(storage: Storage) -> Contents:
    """Read what there is; a table that cannot be read is put down as broken, nothing else is."""
    found = Contents()
    for name, schema in schemas.tables().items():
        try:
            files = _files(storage, name)
            found.kept[name] = Kept(schema.arrow, schema.partition_by, files)
            if schema.kept == "copied":
                found.rows[name] = _rows(storage, name, files)
        except _READING as error:
            found.broken[name] = _sentence(storage, name, error)
    for name in saved.names(storage):
        folder = f"{saved.FOLDER}/{name}"
        try:
            table = delta.open_at(storage, folder)
            columns = pa.schema(table.schema().to_arrow())
            keys = tuple(table.metadata().partition_columns)
            found.saved[folder] = Kept(columns, keys, delta.files(table))
        except _READING as error:
            found.broken[folder] = _sentence(storage, folder, error)
    for name in list(_lost(storage, found)):
        found.broken[name] = (
            f"The table {name} is missing. "
            "Restore its folder from a copy, or run again what made it."
        )
    if TABLE in found.kept and "fragments" in found.rows:
        kept, ours = found.kept[TABLE], found.rows["fragments"]
        found.foreign = with_ranges(storage, kept.files.join(ours, on="path", how="anti"))
        found.kept[TABLE] = replace(kept, files=_by_log_and_record(kept.files, ours))
    found.listed = _listed(found)
    return found


def examine(storage: Storage, files: pl.DataFrame) -> Examined:
    """Compare presence and size of files, and the SHA-256 that is remembered of them.

    Parameters
    ----------
    files : DataFrame
        Columns of `LISTED`.
    """
    there = storage.signatures(files["file"])
    had = checked.matching(storage, there)
    faults, unchecked = {}, {}
    for file, size, digest, contradiction in files.select(*LISTED).iter_rows():
        now, name = there.get(file), file if file.isprintable() else ascii(file)
        if contradiction is not None:
            faults[file] = f"{name} {contradiction} {checked.REMEDY}"
        elif now is None:
            faults[file] = f"{_absence(storage, file, name)} {checked.REMEDY}"
        elif size is not None and now.size != size:
            faults[file] = f"{name} has {now.size} bytes instead of {size}. {checked.REMEDY}"
        elif digest is not None and had.get(file) != digest:
            if file in had:
                faults[file] = f"{name} {checked.ANOTHER} {checked.REMEDY}"
            else:
                unchecked[file] = digest
    return Examined(faults, unchecked)


def signature(storage: Storage, folder: str) -> str:
    """Return what changes when any file of a table does."""
    try:
        there = storage.signatures(storage.files(folder))
    except Damaged:  # a link
        return ""
    texts = (f"{path} {now.text}\n" for path, now in sorted(there.items()))
    return sha256("".join(texts).encode("utf-8", "surrogateescape")).hexdigest()


def _files(storage: Storage, name: str) -> pl.DataFrame:
    if delta.may_be_missing(name) and not storage.log(name):
        return pl.DataFrame(schema={"path": pl.String, "bytes": pl.Int64})
    return delta.files(delta.open_table(storage, name))


def _rows(storage: Storage, name: str, files: pl.DataFrame) -> pl.DataFrame:
    schema = schemas.tables()[name]
    wanted = pl.DataFrame(schema.arrow.empty_table())
    if files.is_empty():
        return wanted
    # Sorted once here; a view with ORDER BY would be sorted in every query that joins it.
    return tables.read(storage, name).cast(wanted.schema).sort(schema.order_by)


def _listed(found: Contents) -> pl.DataFrame:
    records = _records(found)
    frames = [pl.DataFrame(schema=LISTED | {"table_name": pl.String, "path": pl.String})]
    for folder, kept in (found.kept | found.saved).items():
        known = [_known(folder, row, records) for row in kept.files.iter_rows(named=True)]
        ours = [key for key in kept.keys if folder in found.kept]
        frames.append(
            kept.files.select(
                pl.format("{}/{}", pl.lit(folder), "path").alias("file"),
                "bytes",
                pl.Series("sha256", [digest for digest, _ in known], pl.String),
                pl.Series("contradiction", [said for _, said in known], pl.String),
                pl.lit(folder).alias("table_name"),
                "path",
                *(key for key in ours if key in kept.files.columns),
            )
        )
    return pl.concat(frames, how="diagonal")


def _by_log_and_record(files: pl.DataFrame, fragments: pl.DataFrame) -> pl.DataFrame:
    """Add files once more under the place of their record, if the log says another."""
    place = list(Place._fields)
    if files.is_empty():
        return files
    both = files.drop(place).join(fragments.select("path", *place), on="path")
    others = both.join(files, on=["path", *place], how="anti")
    return pl.concat([files, others.select(files.columns)])


def _records(found: Contents) -> dict[str, tuple[str, Place]]:
    """Return SHA-256 and place of our files of activations, by path in their table."""
    rows = found.rows.get("fragments", pl.DataFrame(schema=_RECORD)).select(_RECORD).iter_rows()
    return {path: (digest, Place(*place)) for path, digest, *place in rows}


def _known(
    folder: str, row: dict[str, Any], records: dict[str, tuple[str, Place]]
) -> tuple[str | None, str | None]:
    """Return the SHA-256 that a file should have, and what contradicts its log, if anything."""
    if folder != TABLE:
        return parts.digest_in(row["path"]), None
    digest, place = records.get(row["path"], (None, None))
    said = Place(*(row[name] for name in Place._fields))
    if place is None or place == said:
        return digest, None
    return digest, f"is of {said} in the log, and of {place} in the table fragments."


def _lost(storage: Storage, found: Contents) -> Iterator[str]:
    """Give the tables that are not there, though a run has seen them."""
    if (runs := found.rows.get("runs")) is None:
        return
    readable = (name for name in delta.names() if name not in found.broken)
    if absent := [n for n in readable if delta.may_be_missing(n) and not storage.log(n)]:
        seen = [json.loads(text) for text in runs["input_versions"].unique()]
        yield from (name for name in absent if any(v.get(name, -1) >= 0 for v in seen))
    if unlogged := saved.unlogged(storage):
        had = saved.finished(runs)
        yield from (f"{saved.FOLDER}/{name}" for name in unlogged if name in had)


def _absence(storage: Storage, file: str, name: str) -> str:
    try:
        storage.signature(file)
    except Damaged as error:
        return str(error).replace(file, name)
    except (OSError, ValueError):
        pass
    return f"{name} is missing."


def _sentence(storage: Storage, name: str, error: Exception) -> str:
    """Say what is wrong, without the place of the warehouse: a copy may carry it elsewhere."""
    said = " ".join(str(error).replace(f"{storage.location}/", "").split())
    if isinstance(error, FexpError):
        return said
    return f"The table {name} cannot be read ({said}). {checked.REMEDY}"

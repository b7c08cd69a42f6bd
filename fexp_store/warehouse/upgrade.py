"""Making a warehouse of an earlier format what this version makes; killed at any moment, it reads.

Each table is changed by commits of its own, and the marker comes last. What has nothing to be
changed is left as it is, so that the same command goes on after a kill, and changes nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable

from fexp_store import schemas
from fexp_store.errors import Damaged
from fexp_store.outputs import MARKER
from fexp_store.progress import Advance, Started, silent
from fexp_store.warehouse import catalog, commits, contents, delta, parts, root, space, tables
from fexp_store.warehouse.actions import named
from fexp_store.warehouse.activations.fragment import TABLE
from fexp_store.warehouse.checked import REMEDY
from fexp_store.warehouse.contents import Contents
from fexp_store.warehouse.parts import Part
from fexp_store.warehouse.storage import Storage

_PATIENCE = 10.0  # seconds to wait for writers
_KEY = "upgrade"
_DONE = {"table": pl.String, "files": pl.Int64, "bytes": pl.Int64, "columns": pl.Int64}
_DONE |= {"entries": pl.Int64}


@dataclass(frozen=True)
class Upgraded:
    """What `upgrade` did.

    Parameters
    ----------
    tables : DataFrame
        One row per table that was changed: table, files that were written anew, the bytes that
        these had, columns that were added, and entries of its log that named a place.
    broken : dict of str to str
        Sentences on tables that are damaged, by folder; they are as they were, and so is the
        format of the warehouse.
    before, after : int
        Format versions.
    """

    tables: pl.DataFrame
    broken: dict[str, str]
    before: int
    after: int


def upgrade(
    storage: Storage,
    waiting: Callable[[], object] = lambda: None,
    started: Started = silent,
) -> Upgraded:
    """Make a warehouse of an earlier format one of this version's; all answers stay the same.

    Files of small tables and results that are not named by their bytes are written anew, tables
    and columns that are lacking are made, and what logs say of the place where their table was
    made is taken out. Activations are left as they are: their SHA-256 is recorded.

    Parameters
    ----------
    waiting : callable
        Called once if others are writing, whose end is then waited for, but not for long.
    started : callable
        Called with the number of bytes that are to be written anew.

    Raises
    ------
    BadInput
        If the warehouse can only be read.
    Conflict
        If other processes go on writing to it.
    FexpError
        If the disk has no room.
    """
    storage.demand_writable()
    with storage.alone(_PATIENCE, waiting) as ours:
        done = _upgrade(ours, started)
    # Others may be waiting in it for `alone` to end.
    if not done.tables.is_empty() or done.before != done.after:
        catalog.build(storage)
    return done


def _upgrade(storage: Storage, started: Started) -> Upgraded:
    before, found = root.format_version(storage), contents.read(storage)
    broken = found.broken | _damaged(storage, found)
    old = {folder: size for folder, size in _old(found) if folder not in broken}
    space.demand(storage, 2 * sum(old.values()), "the upgrade")
    advance = started(sum(old.values()))
    done = []
    for folder in [*found.kept, *found.saved]:
        try:
            if folder not in broken:
                done.append((folder, *_table(storage, folder, advance)))
        except Damaged as error:
            broken[folder] = str(error)
    after = before
    if not broken and before < root.FORMAT_VERSION:
        root.mark(storage, storage.record(MARKER).get("warehouse_id"))
        after = root.FORMAT_VERSION
    changed = [row for row in done if any(row[1:])]
    return Upgraded(pl.DataFrame(changed, _DONE, orient="row"), broken, before, after)


def _damaged(storage: Storage, found: Contents) -> dict[str, str]:
    """Give a sentence on each table that lacks a file, but for activations."""
    listed = found.listed.filter(pl.col("table_name") != TABLE)
    faults = contents.examine(storage, listed).faults
    folders = dict(listed.select("file", "table_name").iter_rows())
    return {folders[file]: said for file, said in faults.items()}


def _old(found: Contents) -> Iterator[tuple[str, int]]:
    """Give each table and the bytes of its files that are not named by what they hold."""
    for folder, kept in (found.kept | found.saved).items():
        yield folder, sum(row["bytes"] for row in _unnamed(folder, kept.files))


def _unnamed(folder: str, files: pl.DataFrame) -> list[dict[str, Any]]:
    if folder == TABLE:
        return []
    return [row for row in files.iter_rows(named=True) if parts.digest_in(row["path"]) is None]


def _table(storage: Storage, folder: str, advance: Advance) -> tuple[int, int, int, int]:
    """Change a table; return files, bytes, columns and entries, as in `Upgraded`."""
    ours = folder in schemas.tables() and folder != TABLE
    columns = tables.complete(storage, folder) if ours else 0
    files, size = _files(storage, folder, advance)
    return files, size, columns, _entries(storage, folder)


def _files(storage: Storage, folder: str, advance: Advance) -> tuple[int, int]:
    """Replace files by equal ones that are named by their bytes, in one commit.

    Another writer's commit that comes in between stands; if it has taken one of these files away,
    this is tried again.
    """
    new: dict[str, Part] = {}
    with commits.uncommitted(storage, folder) as written:

        def attempt(table: DeltaTable, properties: CommitProperties) -> list[int]:
            old, keys = _unnamed(folder, delta.files(table)), table.metadata().partition_columns
            for row in old:
                if row["path"] not in new:
                    new[row["path"]] = _again(storage, folder, table, row)
                    written.append(new[row["path"]])
                    advance(row["bytes"])
            if old:
                needed = [new[row["path"]] for row in old]
                removed = [commits.removal(row, keys) for row in old]
                commits.commit(storage, folder, table, needed, properties, removed)
            return [row["bytes"] for row in old]

        sizes = commits.serialised(storage, folder, [_KEY], attempt, retries=0)
        if len(written) > len(sizes):  # another writer took a file away meanwhile
            commits.discard(storage, folder, [part.path for part in written])
    return len(sizes), sum(sizes)


def _again(storage: Storage, folder: str, table: DeltaTable, row: Mapping[str, Any]) -> Part:
    """Write the rows of a file once more."""
    keys = table.metadata().partition_columns
    columns = pa.schema([f for f in pa.schema(table.schema().to_arrow()) if f.name not in keys])
    path = f"{folder}/{row['path']}"

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in parts.batches(storage, path):
            part = pa.Table.from_batches([batch])
            yield from tables.with_all_columns(folder, columns, part, {}).to_batches()

    part = parts.write(storage, folder, columns, batches(), {key: row[key] for key in keys})
    if row["rows"] not in (None, part.rows):
        storage.delete(f"{folder}/{part.path}")
        raise Damaged(f"{path} has {part.rows} rows and not {row['rows']}. {REMEDY}")
    return part


def _entries(storage: Storage, folder: str) -> int:
    """Take the place of a table out of its log, where the commit that made it names that."""
    count = 0
    for path in delta.commits(storage, folder):
        content = storage.read(path)
        lines = content.split(b"\n")
        without = b"\n".join(_without_place(line, folder) for line in lines)
        if without != content:
            # Its time is that of its version, for who asks for the table as of a time.
            storage.write(path, without, storage.signature(path).modified)
            count += 1
    return count


def _without_place(line: bytes, folder: str) -> bytes:
    """Return a line of a log as it is, unless it is what a writer said of itself with a place."""
    if b"commitInfo" not in line:
        return line
    name, said = named(line)
    parameters = said.get("operationParameters")
    if name != "commitInfo" or not isinstance(parameters, dict):
        return line
    place = parameters.get("location")
    if not isinstance(place, str) or place == folder:
        return line
    parameters["location"] = folder
    return json.dumps({name: said}, separators=(",", ":"), ensure_ascii=False).encode()

"""Delta logs: every commit is there and says what it may; its files are those that Delta lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fexp_store import schemas
from fexp_store.errors import FexpError
from fexp_store.warehouse import delta
from fexp_store.warehouse.actions import Action, parse
from fexp_store.warehouse.storage import Storage
from fexp_store.warehouse.verify.fault import REPAIR, Fault, Kind

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\..*)?\.parquet")
CHECKPOINTS = re.compile(rf"{_CHECKPOINT.pattern}|_last_checkpoint")
"""Names of files that repeat what commits say."""
_REMEDY = "Restore the folder of the log from a copy."


@dataclass
class Log:
    """What the commits of a table say, one after the other.

    Parameters
    ----------
    live : dict
        Actions that added the files that make up the table, by path.
    known : set
        Paths of all files that were ever added.
    version : int
        Of the newest commit.
    """

    live: dict[str, Action] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    version: int = -1

    def apply(self, content: bytes) -> None:
        """Take over a commit; ValueError if it cannot be one."""
        for name, action in parse(content):
            path = unquote(action["path"]) if name in ("add", "remove") else ""
            if name == "add":
                self.live[path] = action
                self.known.add(path)
            elif name == "remove" and self.live.pop(path, None) is None:
                raise ValueError(f"it removes a file that is not there: {path}")


def faults(storage: Storage, table: str) -> Iterator[Fault]:
    """Give what is wrong with the log of a table, in its folder."""
    folder = f"{table}/_delta_log"
    try:
        names = storage.log(table)
    except FexpError as error:
        yield Fault(Kind.log, folder, str(error), _REMEDY)
        return
    commits = sorted(int(found[1]) for name in names if (found := _COMMIT.fullmatch(name)))
    checkpoints = {name: int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name))}
    if not commits:
        yield Fault(Kind.log, folder, f"The log of the table {table} has no commits.", _REMEDY)
        return
    absent = sorted({*range(commits[0], commits[-1])} - {*commits})
    if commits[0] > 0 and commits[0] - 1 not in checkpoints.values():
        absent = [*range(commits[0]), *absent]
    for number in absent:
        yield Fault(Kind.log, f"{folder}/{number:020}.json", "This commit is missing.", _REMEDY)
    if commits[0] > 0:
        return  # its beginning is in a checkpoint only, which Delta has read
    log = Log()
    for number in commits:
        path = f"{folder}/{number:020}.json"
        try:
            log.apply(storage.read(path))
        except (ValueError, OSError, FexpError) as error:
            yield Fault(Kind.log, path, f"This commit is not as it was made: {error}.", _REMEDY)
            return
        log.version = number
        for name in (name for name, version in checkpoints.items() if version == number):
            yield from _checkpoint(storage, f"{folder}/{name}", log)
    if "_last_checkpoint" in names:
        yield from _last(storage, f"{folder}/_last_checkpoint", {*checkpoints.values()})
    if not absent:
        yield from _listed(storage, table, log, checkpointed=bool(checkpoints))


def _checkpoint(storage: Storage, path: str, log: Log) -> Iterator[Fault]:
    try:
        with pq.ParquetFile(storage.open(path)) as file:
            adds = file.read(columns=["add.path", "add.size"])["add"].to_pylist()
    except (OSError, ValueError, KeyError, FexpError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        yield Fault(Kind.checkpoint, path, f"It cannot be read ({said}).", REPAIR)
        return
    found = {unquote(add["path"]): add["size"] for add in adds if add and add["path"]}
    if ".checkpoint.parquet" in path and found != {p: a["size"] for p, a in log.live.items()}:
        yield Fault(Kind.checkpoint, path, "It names other files than the commits do.", REPAIR)


def _last(storage: Storage, path: str, versions: set[int]) -> Iterator[Fault]:
    try:
        said = json.loads(storage.read(path))["version"]
    except (ValueError, KeyError, TypeError, OSError, FexpError):
        said = None
    if said not in versions:
        yield Fault(Kind.checkpoint, path, "It names no checkpoint that is there.", REPAIR)


def _listed(storage: Storage, table: str, log: Log, *, checkpointed: bool) -> Iterator[Fault]:
    """Compare what Delta reads, from checkpoints too, with what the commits say."""
    folder = f"{table}/_delta_log"
    try:
        opened = delta.open_at(storage, table)
        listed = delta.files(opened)
    except FexpError as error:
        if checkpointed:
            yield Fault(Kind.checkpoint, folder, str(error), REPAIR)
        else:
            yield Fault(Kind.log, folder, str(error), _REMEDY)
        return
    keys = opened.metadata().partition_columns
    if opened.version() != log.version or _as_listed(listed, keys) != _as_said(log, keys):
        said = "Delta reads other files from it than the commits say."
        yield Fault(Kind.checkpoint, folder, said, REPAIR)
    if table in schemas.tables() and tuple(keys) != schemas.tables()[table].partition_by:
        yield Fault(Kind.log, folder, "The table has other partitions than it was made with.")


def _as_listed(listed: pl.DataFrame, keys: list[str]) -> dict[str, tuple[Any, ...]]:
    rows = listed.select("path", "bytes", "rows", *keys).iter_rows()
    return {path: (size, rows, *values) for path, size, rows, *values in rows}


def _as_said(log: Log, keys: list[str]) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path, add in log.live.items():
        rows = json.loads(add.get("stats") or "{}").get("numRecords")
        found[path] = (add["size"], rows, *(add["partitionValues"].get(key) for key in keys))
    return found

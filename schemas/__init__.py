"""What is stored and what can be asked: table schemas (JSON) and SQL, from the files here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import takewhile
from string import Template
from typing import Any, Literal

import pyarrow as pa

_ARROW_TYPES = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "map<string, string>": pa.map_(pa.string(), pa.string()),
}


@dataclass(frozen=True)
class TableSchema:
    """The schema of one stored table.

    Parameters
    ----------
    name : str
        Also its path in the warehouse, for example ``results/selectivity``.
    comment : str
        What one row is.
    arrow : pyarrow.Schema
        Columns in order; each field's metadata holds its ``comment``.
    partition_by : tuple of str
        Columns that are in the path of a file and not in the file.
    kept : {"copied", "in_files"}
        Whether the catalog copies the table, or has a view over its files.
    view : {"newest", "selected", "all", "own"}
        The template that makes the public view; ``own`` has a statement in ``views/``.
    since : int, optional
        Format version from which every warehouse has the table. Others (results) are made when
        they are first asked for.
    order_by : tuple of str
        Order of the rows in the catalog.
    """

    name: str
    comment: str
    arrow: pa.Schema
    partition_by: tuple[str, ...]
    kept: Literal["copied", "in_files"]
    view: Literal["newest", "selected", "all", "own"]
    since: int | None
    order_by: tuple[str, ...]

    @property
    def short_name(self) -> str:
        """Its name in SQL: without ``results/``."""
        return self.name.split("/")[-1]


@cache
def tables() -> dict[str, TableSchema]:
    """Return the schema of every stored table by name."""
    schemas = (_table_schema(file.read_text("utf-8")) for file in _entries("tables"))
    return {schema.name: schema for schema in schemas}


@cache
def columns() -> dict[str, dict[str, str]]:
    """Return type and comment of the columns that several tables or views have, by name."""
    return json.loads(files(__package__).joinpath("columns.json").read_text("utf-8"))


@cache
def sql(folder: str) -> dict[str, str]:
    """Return the statements of one folder (``parts``, ``macros``, …) by file name."""
    return {file.name.removesuffix(".sql"): file.read_text("utf-8") for file in _entries(folder)}


@cache
def views() -> dict[str, str]:
    """Return the statement of every public view by name: its own, or one made from a template."""
    made = {
        table.short_name: Template(sql("templates")[table.view]).substitute(view=table.short_name)
        for table in tables().values()
        if table.view != "own"
    }
    return made | sql("views")


def comment(view: str, column: str | None = None) -> str | None:
    """Return what a public view is or what a column of it means; None if nothing says so.

    A table's JSON speaks for its view and the columns of it; for a view that has a statement of
    its own, the header of that does, and ``columns.json`` for columns that the table lacks.
    """
    table = next((t for t in tables().values() if t.short_name == view), None)
    if column is None:
        return header(views()[view]) if table is None or table.view == "own" else table.comment
    if table is not None and column in table.arrow.names:
        return table.arrow.field(column).metadata[b"comment"].decode()
    return columns().get(column, {}).get("comment")


def header(statement: str) -> str:
    """Return the comment that a statement opens with: what it is, for its readers."""
    lines = takewhile(lambda line: line.startswith("--"), statement.splitlines())
    return "\n".join(line.removeprefix("--").removeprefix(" ") for line in lines)


@cache
def fingerprint() -> str:
    """Return a hash of every file here: a catalog built from other definitions is stale."""
    digest = sha256()
    for folder in (".", "tables", "templates", "parts", "views", "macros"):
        for file in _entries(folder):
            digest.update(f"{folder}/{file.name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _entries(folder: str) -> list[Traversable]:
    listing = files(__package__).joinpath(folder).iterdir()
    found = (file for file in listing if file.name.endswith((".json", ".sql")))
    return sorted(found, key=lambda file: file.name)


def _table_schema(text: str) -> TableSchema:
    table = json.loads(text)
    return TableSchema(
        name=table["table"],
        comment=table["comment"],
        arrow=pa.schema([_field(column) for column in table["columns"]]),
        partition_by=tuple(table["partition_by"]),
        kept=table["kept"],
        view=table["view"],
        since=table.get("since"),
        order_by=tuple(table.get("order_by", ())),
    )


def _field(column: str | dict[str, Any]) -> pa.Field:
    """Make a field of a column: a name of ``columns.json``, or what differs from that or is new."""
    said = {"name": column} if isinstance(column, str) else column
    whole = columns().get(said["name"], {}) | said
    return pa.field(
        whole["name"],
        _ARROW_TYPES[whole["type"]],
        nullable=whole.get("nullable", False),
        metadata={"comment": whole["comment"]},
    )

"""What is stored and what can be asked: table schemas (JSON) and SQL, from the files here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

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
    """

    name: str
    comment: str
    arrow: pa.Schema
    partition_by: tuple[str, ...]


@cache
def tables() -> dict[str, TableSchema]:
    """Return the schema of every stored table by name."""
    schemas = (_table_schema(file.read_text("utf-8")) for file in _entries("tables", ".json"))
    return {schema.name: schema for schema in schemas}


def results() -> dict[str, TableSchema]:
    """Return the schemas of the result tables, by the name of the analysis."""
    prefix = "results/"
    return {
        name.removeprefix(prefix): schema
        for name, schema in tables().items()
        if name.startswith(prefix)
    }


@cache
def sql(folder: str) -> dict[str, str]:
    """Return the statements of one folder (``parts``, ``views``, …) by file name."""
    return {
        file.name.removesuffix(".sql"): file.read_text("utf-8") for file in _entries(folder, ".sql")
    }


@cache
def fingerprint() -> str:
    """Return a hash of every file here: a catalog built from other definitions is stale."""
    digest = sha256()
    for folder, ending in (
        ("tables", ".json"),
        ("parts", ".sql"),
        ("views", ".sql"),
        ("macros", ".sql"),
    ):
        for file in _entries(folder, ending):
            digest.update(f"{folder}/{file.name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _entries(folder: str, ending: str) -> list[Traversable]:
    listing = (files(__package__) / folder).iterdir()
    return sorted((file for file in listing if file.name.endswith(ending)), key=lambda f: f.name)


def _table_schema(text: str) -> TableSchema:
    table = json.loads(text)
    fields = [
        pa.field(
            column["name"],
            _ARROW_TYPES[column["type"]],
            nullable=column["nullable"],
            metadata={"comment": column["comment"]},
        )
        for column in table["columns"]
    ]
    return TableSchema(
        table["table"], table["comment"], pa.schema(fields), tuple(table["partition_by"])
    )

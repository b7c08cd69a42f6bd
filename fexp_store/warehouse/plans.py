"""Which files a query can touch, as DuckDB's plan of it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from fexp_store.warehouse import scans
from fexp_store.warehouse.activations.fragment import TABLE

_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)
_NO_ROWS = re.compile(r"\s*(DESC|DESCRIBE|SHOW)\b", re.IGNORECASE)


def explained(query: str) -> str:
    """Return the query without the EXPLAIN that it begins with."""
    return _EXPLAIN.sub("", query, count=1)


def touched(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Mapping[str, Any] | None,
    files: Mapping[str, str],
) -> list[str]:
    """Return which of some files of the warehouse a query may read: all, where that is not clear.

    Parameters
    ----------
    files : mapping
        By path in the warehouse.
    """
    question = explained(query)
    if _NO_ROWS.match(question):
        return []
    if "parquet" in question.lower():  # files that the query itself names
        return list(files)
    try:
        explain = _one(connection, f"EXPLAIN (FORMAT json) {question}")
        ((_, text),) = connection.execute(explain, parameters).fetchall()
        chosen = {file for node in _nodes(json.loads(text)) for file in _files(connection, node)}
    except (duckdb.BinderException, duckdb.CatalogException):
        return []  # the query fails as its plan does
    except (duckdb.Error, ValueError):
        return list(files)
    return [file for file in files if file in chosen]


def _nodes(plan: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in plan:
        yield node
        yield from _nodes(node["children"])


def _files(connection: duckdb.DuckDBPyConnection, node: dict[str, Any]) -> list[str]:
    """Return the files that a node of a plan reads."""
    function = node["extra_info"].get("Function", "").lower()
    if function not in (scans.READER, scans.RESULTS_READER):
        return []
    table = "=" if function == scans.READER else "<>"
    filters = node["extra_info"].get("File Filters", "true")
    where = " AND ".join(filters) if isinstance(filters, list) else filters
    listed = f"(SELECT file, file AS {scans.FILE}, table_name FROM stored.listed)"
    query = f"SELECT file FROM {listed} WHERE table_name {table} '{TABLE}' AND ({where})"
    chosen = [file for (file,) in connection.execute(_one(connection, query)).fetchall()]
    scanned = int(node["extra_info"].get("Scanning Files", "0/0").split("/")[0])
    if len(chosen) < scanned:
        raise ValueError("the plan reads files that its filters do not name")
    return chosen


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    """Parse a statement, made in part of what somebody typed: no second one is hidden in it."""
    (statement,) = connection.extract_statements(query)
    return statement

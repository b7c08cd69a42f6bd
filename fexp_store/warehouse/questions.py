"""Questions that users type: one SELECT each, answered whole or as a stream of batches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from fexp_store.errors import BadInput

_QUESTIONS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)
_BATCH_ROWS = 1 << 16


def ask(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None
) -> pa.RecordBatchReader:
    """Run one question; its answer is computed as it is read, and may be larger than memory.

    Raises
    ------
    BadInput
        If the statement is not one SELECT (or DESCRIBE, SHOW, EXPLAIN), or DuckDB refuses it.
    """
    with refusals():
        _check(connection, query)
        relation = connection.sql(query, params=parameters or None)
        return relation.to_arrow_reader(_BATCH_ROWS)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what DuckDB says about a query into one sentence without line breaks."""
    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except (duckdb.Error, OSError) as error:
        said = " ".join(str(error).split("\n\n")[0].split())
        raise BadInput(f"DuckDB refuses the query: {said}") from error


def _check(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise BadInput("Give exactly one SQL statement.")
    (statement,) = statements
    if statement.type not in _QUESTIONS:
        raise BadInput(
            f"{statement.type.name} is not allowed here: the warehouse is open for reading only."
        )
    if statement.type is duckdb.StatementType.EXPLAIN:  # EXPLAIN ANALYZE runs what it explains
        explained = _EXPLAIN.sub("", statement.query, count=1)
        if explained == statement.query:
            raise BadInput("Begin with EXPLAIN, without a comment before it.")
        _check(connection, explained)

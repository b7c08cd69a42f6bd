"""Questions that users type: one SELECT each, answered whole or as a stream of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from fexp_store.causes import cause_of_machine, sentence
from fexp_store.errors import BadInput, Damaged, FexpError
from fexp_store.warehouse import scans
from fexp_store.warehouse.plans import explained
from fexp_store.warehouse.portable import portable

_QUESTIONS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_BATCH_ROWS = 1 << 16


Parameters = dict[str, Any] | None
Ready = Callable[[str, Parameters], duckdb.DuckDBPyConnection]


def ask(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Parameters, ready: Ready
) -> pa.RecordBatchReader:
    """Run one question; its answer is computed as it is read, and may be larger than memory.

    Parameters
    ----------
    ready : callable
        Gives the connection to run it on, once it is known to be a question.

    Raises
    ------
    BadInput
        If the statement is not one SELECT (or DESCRIBE, SHOW, EXPLAIN), or DuckDB refuses it.
    """
    with refusals():
        _check(connection, query)
        relation = ready(query, parameters or None).sql(query, params=parameters or None)
        return portable(relation).to_arrow_reader(_BATCH_ROWS)


@contextmanager
def damage() -> Iterator[None]:
    """Turn what a catalog says in the place of rows that cannot be read into Damaged.

    A file may also go, or the disk fail, while a query runs.
    """
    try:
        yield
    except duckdb.IOException as error:
        raise FexpError(sentence(error)) from error
    except (duckdb.InvalidInputException, OSError) as error:  # the latter from a stream
        if (said := scans.sentence(str(error))) is None:
            raise
        raise Damaged(said) from error


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what DuckDB says about a query into one sentence without line breaks.

    What the disk or the memory has to do with is told by its own cause, not as the query's.
    """
    try:
        with damage():
            yield
    except BrokenPipeError:
        raise
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except pl.exceptions.DuplicateError as error:
        raise BadInput("Two columns have one name; give each a name of its own with AS.") from error
    except duckdb.OutOfMemoryException as error:
        raise FexpError(
            "The query needs more memory than it may have; ask for less at once, or give it more: "
            "fexp sql --memory, or memory_limit of the Warehouse."
        ) from error
    except (duckdb.Error, OSError) as error:
        if (reason := cause_of_machine(error)) is not None:
            raise FexpError(reason) from error
        said = " ".join(str(error).split("\n\n")[0].split())
        raise BadInput(f"DuckDB refuses the query: {said}") from error


def _check(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise BadInput("Give exactly one SQL statement.")
    (statement,) = statements
    try:
        kind = statement.type
    except ValueError:  # one that DuckDB for Python has no name for
        kind = duckdb.StatementType.INVALID
    if kind not in _QUESTIONS:
        raise BadInput(f"{kind.name} is not allowed here: the warehouse is open for reading only.")
    if kind is duckdb.StatementType.EXPLAIN:  # EXPLAIN ANALYZE runs what it explains
        question = explained(statement.query)
        if question == statement.query:
            raise BadInput("Begin with EXPLAIN, without a comment before it.")
        _check(connection, question)

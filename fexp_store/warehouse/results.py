"""Storing what an analysis found: rows of its tables under one run."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from fexp_store import schemas
from fexp_store.warehouse import runs, tables
from fexp_store.warehouse.runs import Run
from fexp_store.warehouse.storage import Storage


def store(storage: Storage, run: Run, frames: Mapping[str, pl.DataFrame]) -> None:
    """Append frames to their tables and record the end of the run, which makes them visible.

    Parameters
    ----------
    run : Run
        A column that a frame lacks is filled with the run's parameter of that name.
    frames : mapping
        Rows by the name of the table in ``results/``.
    """
    known = run.parameters | {"run_id": run.run_id}
    for name, rows in frames.items():
        lacking = (
            c for c in schemas.tables()[f"results/{name}"].arrow.names if c not in rows.columns
        )
        filled = [pl.lit(known[column]).alias(column) for column in lacking if column in known]
        tables.append(storage, f"results/{name}", rows.with_columns(filled))
    runs.record_end(storage, run)

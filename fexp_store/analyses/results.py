"""Storing what an analysis found: rows of its tables under one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from fexp_store.warehouse import Warehouse, runs, tables
from fexp_store.warehouse.runs import Run


def store(
    wh: Warehouse, run: Run, key: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]
) -> None:
    """Append frames to their tables and record the end of the run, which makes them visible.

    Parameters
    ----------
    run : Run
    key : mapping
        Columns that are the same in every row, such as network and layer.
    frames : mapping
        Rows by the name of the table in ``results/``.
    """
    columns = [
        pl.lit(value).alias(name) for name, value in (dict(key) | {"run_id": run.run_id}).items()
    ]
    for name, rows in frames.items():
        tables.append(wh.storage, f"results/{name}", rows.select(*columns, pl.all()))
    runs.record_end(wh.storage, run)

"""Rows of any stored table, of values that mean nothing."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from fexp_store import schemas


def some_rows(table: str, n: int = 1, **columns: object) -> pl.DataFrame:
    """Rows with given values in some columns, null where that may be, else x or 1."""
    schema = schemas.tables()[table].arrow
    values: dict[str, object] = {}
    for field in schema:
        text = pa.types.is_string(field.type)
        values[field.name] = columns.get(field.name, None if field.nullable else "x" if text else 1)
    types = pl.DataFrame(schema.empty_table()).schema
    return pl.DataFrame([values] * n).cast(dict(types))  # type: ignore[arg-type]  # stubs of cast

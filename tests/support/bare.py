"""DuckDB clients without fexp: the ways in which they find a warehouse's files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from fexp_store.warehouse import catalog

WAYS = ("inside", "file_search_path", "fexp_root", "fexp_root/")


@contextmanager
def bare(
    warehouse: Path | str, way: str = "file_search_path"
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the catalog of a warehouse as any client does."""
    here = Path.cwd()
    with duckdb.connect(str(Path(warehouse) / catalog.FILE_NAME), read_only=True) as connection:
        try:
            if way == "inside":
                os.chdir(warehouse)
            elif way == "file_search_path":
                connection.execute(f"SET file_search_path = '{warehouse}'")
            else:
                ending = "/" if way.endswith("/") else ""
                connection.execute(f"SET VARIABLE fexp_root = '{warehouse}{ending}'")
            yield connection
        finally:
            os.chdir(here)

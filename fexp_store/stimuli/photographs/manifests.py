"""Manifests: tables, CSV or Parquet, that list images with their identity and expression."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fexp_store.errors import BadInput
from fexp_store.expressions import check_expression
from fexp_store.given import TABLE_LIMIT, open_file, read_csv
from fexp_store.stimuli.photographs.listing import Photograph

_WHAT = "The manifest"
_MOST_ROWS = 10_000_000
_NEEDED = ("path", "identity", "expression")


def read_manifest(path: Path) -> list[Photograph]:
    """Read a manifest of images.

    Parameters
    ----------
    path : Path
        A CSV or Parquet file (by its first bytes) with the columns path (relative to the file),
        identity and expression; any further column becomes an attribute.

    Returns
    -------
    list of Photograph
        In the order of the manifest.

    Raises
    ------
    BadInput
        If it cannot be read, lacks a column or a value, or names an unknown expression or a file
        outside its own directory.
    """
    rows = _read(path)
    missing = [column for column in _NEEDED if column not in rows.columns]
    if missing:
        raise BadInput(
            f"The manifest {path} has no column {missing[0]!r}; "
            "it needs path, identity and expression."
        )
    if rows.is_empty():
        raise BadInput(f"The manifest {path} lists no images.")
    return [_photograph(i, row) for i, row in enumerate(rows.iter_rows(named=True), start=1)]


def _read(path: Path) -> pl.DataFrame:
    with open_file(path, _WHAT) as file:
        parquet = file.read(4) == b"PAR1"
        if not parquet:
            return read_csv(path, _WHAT, infer_schema=False)
        try:
            found = pq.ParquetFile(file)
            _check_size(found.metadata, path)
            table = pl.DataFrame(found.read())
            return table.select(pl.all().cast(pl.String))
        except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0].removesuffix(".")
            raise BadInput(
                f"{_WHAT} {path} is no Parquet file that can be read: {reason}."
            ) from None


def _check_size(about: pq.FileMetaData, path: Path) -> None:
    """Refuse a table that would not fit in memory, before any of it is decompressed."""
    sizes = (about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if about.num_rows > _MOST_ROWS or sum(sizes) > TABLE_LIMIT:
        raise BadInput(f"{_WHAT} {path} claims {about.num_rows} rows, more than are read of one.")


def _photograph(number: int, row: dict[str, str | None]) -> Photograph:
    values = {key: value.strip() for key, value in row.items() if value and value.strip()}
    for key in _NEEDED:
        if key not in values:
            raise BadInput(f"Row {number} of the manifest has no {key}.")
    file = Path(values.pop("path"))
    if file.is_absolute() or ".." in file.parts:
        raise BadInput(
            f"The path {str(file)!r} of the manifest leaves the manifest's own directory."
        )
    expression = check_expression(values.pop("expression"))
    return Photograph(file.as_posix(), values.pop("identity"), expression, values)

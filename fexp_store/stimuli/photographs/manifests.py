"""Manifests: tables, CSV or Parquet, that list images with their identity and expression."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from fexp_store.errors import BadInput
from fexp_store.expressions import check_expression
from fexp_store.stimuli.photographs.listing import Photograph

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
    try:
        with path.open("rb") as file:
            parquet = file.read(4) == b"PAR1"
        if not parquet:
            return pl.read_csv(path, infer_schema=False)
        return pl.read_parquet(path).select(pl.all().cast(pl.String))
    except FileNotFoundError:
        raise BadInput(f"The manifest {path} does not exist.") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"The manifest {path} is no CSV or Parquet file that can be read: {reason}."
        ) from None


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

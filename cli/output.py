"""How results are printed: a table for people, or CSV, JSON and Parquet for programs."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from typing import IO, Annotated, TextIO

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from rich import box
from rich.table import Table

from fexp_store.cli.terminal import Terminal, messages, visible
from fexp_store.cli.values import PER_SECOND, plain, texts, to_json
from fexp_store.errors import BadInput
from fexp_store.warehouse.questions import refusals

_TABLE_ROWS = 50
_WIDE = 10_000  # columns of text: no wrapping where standard output is no terminal
_DAYS = (-719_162, 2_932_897)  # since 1970, of the first day of year 1 and of year 10000
_PLAN = "explain_value"  # the column of EXPLAIN, a drawing of several lines


class Format(StrEnum):
    """Output formats."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


FormatOption = Annotated[
    Format, typer.Option("--format", "-f", help="How to print the result on standard output.")
]


def print_frame(frame: pl.DataFrame, output_format: Format) -> None:
    """Print a result on standard output."""
    print_stream(frame.to_arrow().to_reader(), output_format)


def print_stream(reader: pa.RecordBatchReader, output_format: Format) -> None:
    """Print a result on standard output, batch by batch: it may be larger than memory.

    Raises
    ------
    BadInput
        If the format cannot hold it; the sentence says what to do.
    """
    if sys.stdout is None:
        raise BadInput("Standard output is closed; send it to a file, or to /dev/null.")
    with refusals():
        match output_format:
            case Format.table:
                _print_table(reader)
            case Format.csv:
                _print_csv(reader, sys.stdout)
            case Format.json:
                _check_names(reader.schema, "JSON")
                _print_json(reader, sys.stdout)
            case Format.parquet:
                _check_names(reader.schema, "Parquet")
                if sys.stdout.isatty():
                    raise BadInput("Parquet is no text; send it to a file: … > result.parquet")
                _print_parquet(reader, sys.stdout.buffer)


def _check_names(schema: pa.Schema, what: str) -> None:
    for name, count in Counter(schema.names).items():
        if count > 1:
            raise BadInput(
                f"{count} columns are called {name!r}, which {what} cannot hold; "
                "give each a name of its own with AS."
            )


def _print_parquet(reader: pa.RecordBatchReader, out: IO[bytes]) -> None:
    try:
        writer = pq.ParquetWriter(out, reader.schema)
    except pa.ArrowNotImplementedError as error:
        raise BadInput(f"Parquet cannot hold the result ({error}); CAST it to VARCHAR.") from None
    with writer:
        for batch in reader:
            writer.write_batch(batch)


def _print_csv(reader: pa.RecordBatchReader, out: TextIO) -> None:
    _write_csv([pl.Series([name]) for name in reader.schema.names], out)
    for batch in reader:
        _write_csv([_csv_column(column) for column in batch.columns], out)


def _write_csv(columns: list[pl.Series], out: TextIO) -> None:
    frame = pl.DataFrame({str(i): column for i, column in enumerate(columns)})
    if out.isatty():
        text = pl.String
        frame = frame.with_columns(pl.col(text).map_elements(visible, return_dtype=text))
    out.buffer.write(frame.write_csv(include_header=False).encode())  # polars hides a broken pipe


def _csv_column(column: pa.Array) -> pl.Series:
    """Return a column of text, or of a type whose values CSV has a way to write."""
    types, kind = pa.types, column.type
    if types.is_dictionary(kind) or types.is_decimal(kind):
        column = column.cast(pa.string())
    elif types.is_nested(kind):
        column = pa.array([None if v is None else to_json(v) for v in plain(column)], pa.string())
    elif types.is_binary(kind) or types.is_large_binary(kind) or _is_far(column):
        column = pa.array(plain(column), pa.string())
    series = pl.Series(column)
    return series.cast(pl.String) if series.dtype == pl.Null else series


def _is_far(column: pa.Array) -> bool:
    """Whether it has times, or dates that are no years 1 to 9999: polars cannot write all."""
    kind = column.type
    if pa.types.is_time(kind):
        return True
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return False
    in_day = 1 if pa.types.is_date32(kind) else 86_400 * PER_SECOND[getattr(kind, "unit", "ms")]
    ends = [end.value for end in pc.min_max(column).values() if end.is_valid]
    return any(not _DAYS[0] * in_day <= end < _DAYS[1] * in_day for end in ends)


def _print_json(reader: pa.RecordBatchReader, out: TextIO) -> None:
    opening = "["
    for batch in reader:
        columns = [plain(column) for column in batch.columns]
        for row in zip(*columns, strict=True):
            text = to_json(dict(zip(reader.schema.names, row, strict=True)))
            out.buffer.write(f"{opening}\n{text}".encode())
            opening = ","
    out.buffer.write(b"]\n" if opening == "," else b"[]\n")


def _print_table(reader: pa.RecordBatchReader) -> None:
    rows: list[tuple[str, ...]] = []
    n_rows = 0
    for batch in reader:
        first = batch.slice(0, _TABLE_ROWS - len(rows))
        n_rows += batch.num_rows
        rows += zip(*(texts(column) for column in first.columns), strict=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for field in reader.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        right = number or pa.types.is_decimal(field.type)
        table.add_column(visible(field.name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, reader.schema.names, row))
    console = Terminal()
    if not console.is_terminal:
        console = Terminal(width=_WIDE)
    console.print(table)
    if n_rows > _TABLE_ROWS:
        messages.print(f"{_TABLE_ROWS} of {n_rows} rows; --format csv, json or parquet gives all.")


def _cell(column: str, text: str) -> str:
    return "\n".join(map(visible, text.split("\n"))) if column == _PLAN else visible(text)

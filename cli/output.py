"""How results are printed: a table for people, or CSV, JSON and Parquet for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from fexp_store.cli.app import messages
from fexp_store.warehouse.questions import refusals

_TABLE_ROWS = 50
_WIDE = 10_000  # columns of text: no wrapping where standard output is no terminal


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
    """Print a result on standard output, batch by batch: it may be larger than memory."""
    with refusals():
        match output_format:
            case Format.table:
                _print_table(reader)
            case Format.csv:
                _print_csv(reader)
            case Format.json:
                _print_json(reader)
            case Format.parquet:
                with pq.ParquetWriter(sys.stdout.buffer, reader.schema) as writer:
                    for batch in reader:
                        writer.write_batch(batch)


def _print_csv(reader: pa.RecordBatchReader) -> None:
    for number, frame in enumerate(_frames(reader)):
        nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
        rows = frame.select(nested).to_dicts() if nested else []
        texts = [
            pl.Series(
                n, [None if r[n] is None else json.dumps(_plain(r[n]), default=str) for r in rows]
            )
            for n in nested
        ]
        frame.with_columns(texts).write_csv(sys.stdout.buffer, include_header=number == 0)


def _print_json(reader: pa.RecordBatchReader) -> None:
    opening = "["
    for frame in _frames(reader):
        for row in frame.iter_rows(named=True):
            plain = {name: _plain(value) for name, value in row.items()}
            sys.stdout.write(f"{opening}\n{json.dumps(plain, ensure_ascii=False, default=str)}")
            opening = ","
    sys.stdout.write("]\n" if opening == "," else "[]\n")


def _frames(reader: pa.RecordBatchReader) -> Iterator[pl.DataFrame]:
    """The batches as data frames, the first one even if it is empty."""
    yield pl.DataFrame(reader.schema.empty_table())
    for batch in reader:
        yield pl.DataFrame(pa.Table.from_batches([batch]))


def _print_table(reader: pa.RecordBatchReader) -> None:
    frame, n_rows = pl.DataFrame(reader.schema.empty_table()), 0
    for batch in _frames(reader):
        frame = pl.concat([frame, batch.head(_TABLE_ROWS - frame.height)])
        n_rows += batch.height
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*(_cell(value) for value in row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_WIDE)
    console.print(table)
    if n_rows > _TABLE_ROWS:
        messages.print(f"{_TABLE_ROWS} of {n_rows} rows; --format csv, json or parquet gives all.")


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.4g}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case dict() | list():
            return json.dumps(_plain(value), ensure_ascii=False, default=str)
    return str(value)


def _plain(value: Any) -> Any:
    """Turn a value into what JSON has."""
    match value:
        case datetime():
            return value.isoformat()
        case float() if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        case dict():
            return {key: _plain(part) for key, part in value.items()}
        case list():
            return [_plain(part) for part in value]
        case bytes():
            return value.hex()
        case Decimal():  # DuckDB counts and sums whole numbers as HUGEINT
            return int(value) if value == int(value) else float(value)
    return value

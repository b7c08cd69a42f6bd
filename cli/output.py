"""How results are printed: a table for people, or CSV, JSON and Parquet for programs."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import polars as pl
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from fexp_store.cli.app import messages

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
    if output_format is Format.parquet:
        frame.write_parquet(sys.stdout.buffer)
        return
    if output_format is Format.table:
        _print_table(frame)
        return
    rows = [{name: _plain(value) for name, value in row.items()} for row in frame.to_dicts()]
    if output_format is Format.json:
        sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    else:
        nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
        texts = [
            pl.Series(name, [None if r[name] is None else json.dumps(r[name]) for r in rows])
            for name in nested
        ]
        frame.with_columns(texts).write_csv(sys.stdout.buffer)


def _print_table(frame: pl.DataFrame) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold")
    for row in frame.head(_TABLE_ROWS).iter_rows():
        table.add_row(*(_cell(value) for value in row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_WIDE)
    console.print(table)
    if frame.height > _TABLE_ROWS:
        messages.print(
            f"{_TABLE_ROWS} of {frame.height} rows; --format csv, json or parquet gives all."
        )


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.4g}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case dict() | list():
            return json.dumps(_plain(value), ensure_ascii=False)
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
    return value

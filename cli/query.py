"""``fexp sql`` and ``fexp query``: questions in SQL, typed or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fexp_store import BadInput, Warehouse
from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_stream
from fexp_store.cli.shell import interruptible, shell
from fexp_store.given import parse_json, read_text

MemoryOption = Annotated[
    float,
    typer.Option("--memory", min=64, max=1 << 24, help="MiB that the query may have."),
]
_MEMORY = 768.0


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(sql)
    app.command()(query)


def sql(
    ctx: typer.Context,
    query: Annotated[
        str | None, typer.Argument(help="One SELECT statement; without it, a shell opens.")
    ] = None,
    memory: MemoryOption = _MEMORY,
    output_format: FormatOption = Format.table,
) -> None:
    """Run a query over the views and macros of the warehouse, read-only.

    What its memory does not hold goes to disk, where DuckDB can do that.

    Examples
    --------
        fexp sql "FROM networks"

        fexp sql "SELECT layer, count(*) FROM selectivity WHERE selective GROUP BY layer" -f csv

        fexp sql
    """
    wh = open_warehouse(ctx, memory)
    if query is None:
        shell(wh)
    else:
        _print(wh, query, {}, output_format)


def query(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file with one SELECT statement.")],
    parameter: Annotated[
        list[str], typer.Option("--parameter", "-p", help="name=value for $name; repeat.")
    ] = [],  # noqa: B006 (typer copies it)
    save: Annotated[
        str | None, typer.Option(help="Store the result under this name, as the view saved.NAME.")
    ] = None,
    memory: MemoryOption = _MEMORY,
    output_format: FormatOption = Format.table,
) -> None:
    """Run a hypothesis: a query in a file, with parameters, and store its result if asked to.

    A value that is a number, true, false, null or a JSON list is taken as that, anything else as
    text. A stored result carries its run: the text of the query, parameters and versions.

    Examples
    --------
        fexp query examples/hypotheses/emergence.sql -p stimulus_set=faces

        fexp query mine.sql -p network=dlib_face -p units=[1,2,3] --save mine
    """
    wh = open_warehouse(ctx, memory)
    text = read_text(file, "The query")
    values = dict(_parameter(text) for text in parameter)
    if save is None:
        _print(wh, text, values, output_format)
        return
    from fexp_store.warehouse.saved import save as store

    interruptible(wh, lambda: store(wh, save, text, values))
    _print(wh, f"SELECT * EXCLUDE (run_id) FROM saved.{save}", {}, output_format)
    messages.print(f"Stored in the view saved.{save}.")


def _print(wh: Warehouse, text: str, values: dict[str, Any], output_format: Format) -> None:
    interruptible(wh, lambda: print_stream(wh.stream(text, values), output_format))


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise BadInput(f"{text!r} is not name=value.")
    try:
        parsed = parse_json(value)
    except BadInput:
        return name, value
    return name, value if isinstance(parsed, (dict, str)) else parsed

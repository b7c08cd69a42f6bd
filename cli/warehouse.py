"""``fexp init``, ``index`` and ``log``: the warehouse itself."""

from __future__ import annotations

import typer
from fexp_store.cli.app import Settings, messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame

from fexp_store import Warehouse, schemas


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(init)
    app.command()(index)
    app.command()(log)


def init(ctx: typer.Context) -> None:
    """Make an empty warehouse.

    Examples
    --------
        fexp init

        fexp -w /data/faces init
    """
    settings = ctx.obj
    assert isinstance(settings, Settings)
    wh = Warehouse.create(settings.warehouse)
    messages.print(f"Made an empty warehouse in {wh.root}.")


def index(ctx: typer.Context) -> None:
    """Rebuild catalog.duckdb from the tables.

    Every fexp command does this by itself when the catalog is out of date. Run it before opening
    the catalog in another DuckDB client, after the warehouse was moved or added to elsewhere.

    Example:

        fexp index && duckdb -readonly warehouse/catalog.duckdb "FROM networks"
    """
    path = open_warehouse(ctx).rebuild_catalog()
    messages.print(f"Built {path}.")


def log(ctx: typer.Context, output_format: FormatOption = Format.table) -> None:
    """List what was done to the warehouse, newest first.

    Example:

        fexp log --format json
    """
    print_frame(open_warehouse(ctx).frame(schemas.sql("queries")["log"]), output_format)

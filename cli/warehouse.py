"""``fexp init``, ``index`` and ``log``: the warehouse itself."""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from fexp_store import Warehouse, schemas
from fexp_store.cli.app import Settings, messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.warehouse.vacuum import SAFE_HOURS, find
from fexp_store.warehouse.vacuum import vacuum as remove


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(init)
    app.command()(index)
    app.command()(log)
    app.command()(vacuum)


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
    messages.print(f"Made an empty warehouse in {wh.location}.")


def index(ctx: typer.Context) -> None:
    """Rebuild catalog.duckdb from the tables.

    Every fexp command does this by itself when the catalog is out of date. Run it before opening
    the catalog in another DuckDB client, after the warehouse was added to elsewhere. The catalog
    names files relative to the warehouse: open it there, or tell the client where that is with
    SET VARIABLE fexp_root = '/data/faces'.

    Example:

        fexp index && cd warehouse && duckdb -readonly catalog.duckdb "FROM networks"
    """
    path = open_warehouse(ctx).rebuild_catalog()
    messages.print(f"Built {path}.")


def vacuum(
    ctx: typer.Context,
    older_than: Annotated[
        float, typer.Option(min=0, help="Hours; files that changed or were taken out since stay.")
    ] = SAFE_HOURS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files.")] = False,
    output_format: FormatOption = Format.table,
) -> None:
    """Delete files that killed commands left behind, or that were taken out of a table.

    It begins when no fexp is writing, and nothing is deleted that is or will be in a table. With
    --older-than 0, queries that are running may miss what was just taken out; spill files, and
    what other programs write, stay for a day all the same.

    Examples
    --------
        fexp vacuum --dry-run

        fexp vacuum --older-than 0
    """
    wh = open_warehouse(ctx)
    found = (
        find(wh.storage, older_than) if dry_run else remove(wh.storage, older_than, _say_waiting)
    )
    schema = {"file": pl.String, "bytes": pl.Int64}
    rows = [{"file": o.path, "bytes": o.bytes} for o in found.orphans]
    print_frame(pl.DataFrame(rows, schema=schema), output_format)
    for sentence in found.spared.values():
        messages.print(sentence, style="yellow", markup=False)
    done = "would be deleted" if dry_run else "were deleted"
    messages.print(
        f"{len(rows)} files of {sum(o.bytes for o in found.orphans) / 1e6:.1f} MB {done}."
    )


def _say_waiting() -> None:
    messages.print("Waiting for other processes to finish writing …")


def log(ctx: typer.Context, output_format: FormatOption = Format.table) -> None:
    """List what was done to the warehouse, newest first.

    Example:

        fexp log --format json
    """
    print_frame(open_warehouse(ctx).frame(schemas.sql("queries")["log"]), output_format)

"""``fexp sql``: questions in SQL."""

from __future__ import annotations

from typing import Annotated

import typer

from fexp_store.cli.app import open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(sql)


def sql(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="One SELECT statement.")],
    output_format: FormatOption = Format.table,
) -> None:
    """Run a query over the views and macros of the warehouse, read-only.

    Examples
    --------
        fexp sql "FROM networks"

        fexp sql "SELECT layer, count(*) FROM selectivity WHERE selective GROUP BY layer" -f csv
    """
    print_frame(open_warehouse(ctx).query(query), output_format)

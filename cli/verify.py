"""``fexp verify``: is everything as it was stored?"""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from fexp_store.cli.app import Settings, messages
from fexp_store.cli.output import Format, FormatOption, print_frame


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(verify)


def verify(
    ctx: typer.Context,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Presence, sizes, logs and small tables: nothing is hashed."),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Take what is damaged out of the tables, so that the same commands bring it back.",
        ),
    ] = False,
    output_format: FormatOption = Format.table,
) -> None:
    """Compare everything that is stored with what it was: files, logs, rows, kept images.

    Every byte is read. Each fault is named with what helps; exit code 1 says that there is one.

    Examples
    --------
        fexp verify

        fexp verify --quick --format json

        fexp verify --repair
    """
    from fexp_store.cli.progress import bar
    from fexp_store.warehouse.verify.repair import repair as mend
    from fexp_store.warehouse.verify.verify import locate
    from fexp_store.warehouse.verify.verify import verify as compare

    settings = ctx.obj
    assert isinstance(settings, Settings)
    storage = locate(settings.warehouse)
    with bar("Comparing bytes") as started:
        report = compare(storage, quick=quick, started=started)
    found = [*report.faults, *report.unverified]
    done = mend(storage, report.faults, report.unverified) if repair else {}
    rows = [(*map(str, fault[:3]), done.get(fault, fault.remedy)) for fault in found]
    columns = ("what", "where", "fault", "remedy")
    print_frame(pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row"), output_format)
    looked = "looked at" if quick else "read whole"
    messages.print(
        f"{report.files} files of {report.bytes / 1e6:.1f} MB were {looked}: "
        f"{len(report.faults)} faults, {len(report.unverified)} unverified."
    )
    if done:
        messages.print(f"{len(done)} are mended; the last column says what is left to do.")
    if any(fault not in done for fault in report.faults):
        raise typer.Exit(1)

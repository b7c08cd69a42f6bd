"""``fexp verify``: is everything as it was stored?"""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from fexp_store.cli.app import Settings, messages, open_warehouse
from fexp_store.cli.options import takes
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.errors import FexpError
from fexp_store.ingest.replay import Options, Replayed


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(verify)


@takes(Options)
def verify(
    ctx: typer.Context,
    options: Options,
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
    With --replay networks are run again on a random sample, which finds what no checksum can:
    weights, images or preprocessing that are not what they were.

    Examples
    --------
        fexp verify

        fexp verify --quick --format json

        fexp verify --repair

        fexp verify --replay 50

        fexp verify --quick --replay 50 --seed 7
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
    replayed = None if options.replay is None else _replayed(ctx, options)
    faults = [*report.faults, *(replayed.faults if replayed else ())]
    found = [*faults, *report.unverified]
    done = mend(storage, faults, report.unverified) if repair else {}
    rows = [(*map(str, fault[:3]), done.get(fault, fault.remedy)) for fault in found]
    columns = ("what", "where", "fault", "remedy")
    print_frame(pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row"), output_format)
    looked = "looked at" if quick else "read whole"
    messages.print(
        f"{report.files} files of {report.bytes / 1e6:.1f} MB were {looked}: "
        f"{len(report.faults)} faults, {len(report.unverified)} unverified."
    )
    if replayed is not None:
        _tell(replayed)
    if done:
        messages.print(f"{len(done)} are mended; the last column says what is left to do.")
    if any(fault not in done for fault in faults):
        raise typer.Exit(1)


def _replayed(ctx: typer.Context, options: Options) -> Replayed:
    """Run again what can be; what is too damaged to say what is stored is a fault like others."""
    from fexp_store.cli.progress import bar
    from fexp_store.ingest.replay import broken, replay

    try:
        with bar("Running networks again") as started:
            return replay(open_warehouse(ctx), options, started=started)
    except FexpError as error:
        return broken(options, error)


def _tell(replayed: Replayed) -> None:
    counts = f"{replayed.agreed} agree, {replayed.differed} differ"
    messages.print(
        f"Of {replayed.drawn} stimuli of layers that were drawn (--seed {replayed.seed}), {counts} "
        f"and {replayed.not_run} could not be run again."
    )
    for why, files in replayed.left_out.items():
        messages.print(f"{files} files are {why}, and are never drawn.")

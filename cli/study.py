"""``fexp study``: a whole study, declared in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fexp_store import Warehouse
from fexp_store.cli.app import Commands, Settings, messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.cli.progress import bar

study = typer.Typer(cls=Commands, no_args_is_help=True, help="Studies declared in TOML files.")

FileArgument = Annotated[Path, typer.Argument(help="Study file.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(study, name="study")


@study.command()
def init(file: FileArgument) -> None:
    """Write a study file to start from: two networks on rendered faces.

    Example:

        fexp study init study.toml
    """
    from fexp_store.study.file import write_example

    write_example(file)
    messages.print(f"Wrote {file}; edit it, then: fexp study check {file}")


@study.command()
def check(
    ctx: typer.Context,
    file: FileArgument,
    claims: Annotated[
        bool,
        typer.Option(
            "--claims", help="Show instead what is found for each claim, beside what was published."
        ),
    ] = False,
    output_format: FormatOption = Format.table,
) -> None:
    """Check a study file as a whole, and say what is done and what is missing.

    With --claims, each claim of the file is shown with the query that tests it, and with what the
    query finds in the results that are stored. Queries run by themselves too, with `fexp query`.

    Examples
    --------
        fexp study check study.toml

        fexp study check examples/zhou2022.toml --claims
    """
    from fexp_store.study.claims import answers
    from fexp_store.study.file import read_study
    from fexp_store.study.run import check as run

    declared, wh = read_study(file), open_warehouse(ctx)
    print_frame(answers(wh, declared.claims) if claims else run(wh, declared), output_format)


@study.command()
def run(ctx: typer.Context, file: FileArgument, output_format: FormatOption = Format.table) -> None:
    """Run what is missing of a study, after checking the whole file.

    Makes the warehouse if there is none. After an interruption, run the same command again.

    Example:

        fexp study run study.toml
    """
    from fexp_store.study.file import read_study
    from fexp_store.study.run import run_study

    declared = read_study(file)
    settings = ctx.obj
    assert isinstance(settings, Settings)
    print_frame(
        run_study(Warehouse.open_or_create(settings.warehouse), declared, bar), output_format
    )

"""The application: options before the command, and errors printed in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

import fexp_store
from fexp_store import FexpError, Warehouse

messages = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, messages and errors go to standard error; standard output is for data."""


@dataclass(frozen=True)
class Settings:
    """Options that stand before the command."""

    warehouse: Path
    debug: bool


class Commands(TyperGroup):
    """Turns what a user can act on into one sentence and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except FexpError as error:
            if isinstance(ctx.obj, Settings) and ctx.obj.debug:
                raise
            messages.print(f"Error: {error}", style="red", markup=False)
        except KeyboardInterrupt:
            messages.print(
                "Interrupted. What was committed stays; run the same command to go on.", style="red"
            )
        raise typer.Exit(1)


app = typer.Typer(
    name="fexp",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(fexp_store.__version__)
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    warehouse: Annotated[
        Path,
        typer.Option(
            "--warehouse", "-w", envvar="FEXP_WAREHOUSE", help="Directory of the warehouse."
        ),
    ] = Path("warehouse"),
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Store unit activations of convolutional networks, and query them.

    A first session:

        fexp init

        fexp stimuli render faces --identities 24

        fexp networks add dlib_face

        fexp ingest --network dlib_face --layer conv4_3 --stimuli faces

        fexp select --network dlib_face --layer conv4_3 --stimuli faces
    """
    ctx.obj = Settings(warehouse, debug)


def open_warehouse(ctx: typer.Context) -> Warehouse:
    """Open the warehouse that the options name."""
    settings = ctx.obj
    assert isinstance(settings, Settings)
    from fexp_store.cli.progress import bar  # which prints where messages go

    wh = Warehouse(settings.warehouse)
    wh.bar = bar
    return wh

"""``fexp responses``: confusion matrices of human observers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fexp_store.cli.app import Commands, messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame

responses = typer.Typer(cls=Commands, no_args_is_help=True, help="Confusions of human observers.")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(responses, name="responses")


@responses.command()
def add(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV: long or square.")],
    study: Annotated[str, typer.Option(help="Short name of the study.")],
    observer: Annotated[str, typer.Option(help="Who responded.")] = "human",
    stimuli: Annotated[str, typer.Option("--stimuli", "-s", help="Set shown.")] = "unknown",
    kind: Annotated[str, typer.Option(help="human or network.")] = "human",
) -> None:
    """Add a confusion matrix, which analyses then compare with those of networks.

    Long: the columns depicted, response and count (or proportion). Square: the depicted
    expression in the first column, one further column per response.

    Example:

        fexp responses add ours.csv --study ours --stimuli faces
    """
    from fexp_store.analyses.expressions.humans import add_responses

    rows = add_responses(
        open_warehouse(ctx), file, study=study, observer=observer, stimulus_set=stimuli, kind=kind
    )
    messages.print(f"Added {rows} cells to the view responses.")


@responses.command()
def compare(ctx: typer.Context, output_format: FormatOption = Format.table) -> None:
    """Correlate the networks' tables in the view `responses` with the human ones.

    The published tables are among them.

    Example:

        fexp responses compare
    """
    from fexp_store.analyses.expressions.humans import compare_responses

    print_frame(compare_responses(open_warehouse(ctx)), output_format)

"""``fexp stimuli``: register stimulus sets and look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fexp_store import schemas
from fexp_store.cli.app import Commands, messages, open_warehouse
from fexp_store.cli.options import takes
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.cli.progress import bar
from fexp_store.outputs import writing
from fexp_store.rights import Rights
from fexp_store.stimuli.recipe import Listing

stimuli = typer.Typer(cls=Commands, no_args_is_help=True, help="Stimulus sets.")

SetArgument = Annotated[str, typer.Argument(metavar="SET", help="Name of the stimulus set.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(stimuli, name="stimuli")


@stimuli.command()
@takes(Rights, "rights")
@takes(Listing)
def add(
    ctx: typer.Context,
    name: SetArgument,
    images: Annotated[
        Path,
        typer.Argument(help="Directory of images, or a CSV or Parquet manifest that lists them."),
    ],
    options: Any,
    rights: Any,
    output_format: FormatOption = Format.table,
) -> None:
    """Register the images of a directory, or those that a manifest lists.

    A manifest has the columns path (relative to it), identity and expression; further columns
    become attributes. Every image is decoded before anything is registered. The images stay where
    they are. If the design has gaps or doubles, a table of the identities concerned is printed
    with the number of images of each expression.

    Examples
    --------
        fexp stimuli add set1 photographs/manifest.csv

        fexp stimuli add kdef KDEF --layout kdef --view frontal --where session=A

        fexp stimuli add mine faces --pattern "{identity}_{expression}.jpg" --copy
    """
    from fexp_store.stimuli.make import make_set

    wh = open_warehouse(ctx)
    with bar(f"Verifying {name}") as started:
        made = make_set(wh, name, options, rights, images=images, started=started)
    for remark in made.remarks:
        style = "yellow" if remark.startswith("Warning") else None
        messages.print(remark, style=style)
    messages.print(
        f"Registered {name}: {made.images} images."
        if made.new
        else f"{name} is registered already with these {made.images} images; nothing to do."
    )
    if made.gaps is not None and not made.gaps.is_empty():
        print_frame(made.gaps, output_format)


@stimuli.command("list")
def list_sets(ctx: typer.Context, output_format: FormatOption = Format.table) -> None:
    """List the registered sets.

    Example:

        fexp stimuli list
    """
    print_frame(open_warehouse(ctx).frame(schemas.sql("queries")["stimulus_sets"]), output_format)


@stimuli.command()
def show(
    ctx: typer.Context,
    name: SetArgument,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of the images to this PNG file.")
    ] = None,
    output_format: FormatOption = Format.table,
) -> None:
    """List the stimuli of a set, or lay its images out in a contact sheet.

    Examples
    --------
        fexp stimuli show faces

        fexp stimuli show faces --sheet faces.png
    """
    from fexp_store.stimuli.sets import read_set

    wh = open_warehouse(ctx)
    rows = read_set(wh, name)
    if sheet is None:
        print_frame(rows.drop("set_sha256", "recipe", "licence", "citation"), output_format)
        return
    from fexp_store.stimuli.sheets import set_sheet

    picture = set_sheet(wh, rows)
    with writing(sheet) as file:
        picture.save(file, format="png")
    messages.print(f"Wrote {sheet}.")

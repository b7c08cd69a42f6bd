"""``fexp stimuli``: register, render and look at stimulus sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fexp_store import schemas
from fexp_store.cli.app import Commands, messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.cli.progress import bar

stimuli = typer.Typer(cls=Commands, no_args_is_help=True, help="Stimulus sets.")

SetArgument = Annotated[str, typer.Argument(metavar="SET", help="Name of the stimulus set.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(stimuli, name="stimuli")


@stimuli.command()
def add(
    ctx: typer.Context,
    name: SetArgument,
    manifest: Annotated[
        Path, typer.Argument(help="CSV with the columns path, identity and expression.")
    ],
) -> None:
    """Register the images that a manifest lists; paths in it are relative to it.

    Further columns become attributes. The images stay where they are.

    Example:

        fexp stimuli add set1 photographs/manifest.csv
    """
    from fexp_store.stimuli.sets import add_manifest, read_set

    wh = open_warehouse(ctx)
    new = add_manifest(wh, name, manifest)
    count = read_set(wh, name).height
    messages.print(
        f"Registered {name}: {count} images."
        if new
        else f"{name} is registered already with these {count} images; nothing to do."
    )


@stimuli.command()
def render(
    ctx: typer.Context,
    name: SetArgument,
    identities: Annotated[int, typer.Option(min=1, help="Number of people.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the people's faces.")] = 0,
    neutral: Annotated[bool, typer.Option(help="Also render neutral faces.")] = False,
) -> None:
    """Render people with the six basic expressions, and register the images.

    The faces are parametric models under an open licence, a stand-in for photographs; people
    have not rated their expressions. Needs the extra `stimuli`.

    Example:

        fexp stimuli render faces --identities 24 --seed 1
    """
    from fexp_store.stimuli.rendered_sets import render_set

    wh = open_warehouse(ctx)
    with bar(f"Rendering {name}") as started:
        count = render_set(wh, name, identities, seed, neutral=neutral, started=started)
    messages.print(f"Rendered and registered {name}: {count} images.")


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
        print_frame(rows.drop("set_sha256"), output_format)
        return
    from fexp_store.stimuli.sheets import set_sheet

    set_sheet(wh, rows).save(sheet)
    messages.print(f"Wrote {sheet}.")

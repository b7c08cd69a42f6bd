"""``fexp stimuli``: register stimulus sets and look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fexp_store import schemas
from fexp_store.cli.app import Commands, messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.cli.progress import bar
from fexp_store.errors import BadInput
from fexp_store.stimuli.photographs.filters import (
    Choice,
    Doubles,
    choose,
    describe,
    doubled,
    incomplete,
)
from fexp_store.stimuli.photographs.listing import Photograph, named

stimuli = typer.Typer(cls=Commands, no_args_is_help=True, help="Stimulus sets.")

SetArgument = Annotated[str, typer.Argument(metavar="SET", help="Name of the stimulus set.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(stimuli, name="stimuli")


@stimuli.command()
def add(
    ctx: typer.Context,
    name: SetArgument,
    images: Annotated[
        Path,
        typer.Argument(help="Directory of images, or a CSV or Parquet manifest that lists them."),
    ],
    layout: Annotated[
        str | None,
        typer.Option(help="How the files are named: kdef, rafd, nimstim, rafdb or jaffe."),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help='Or a pattern, such as "{identity}_{expression}.jpg".')
    ] = None,
    view: Annotated[str | None, typer.Option(help="Only this view, for example frontal.")] = None,
    gaze: Annotated[str | None, typer.Option(help="Only this gaze, for example frontal.")] = None,
    expressions: Annotated[
        str | None, typer.Option(help="Only these expressions, with commas between.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only images with this attribute; repeatable."),
    ] = None,
    doubles: Annotated[
        Doubles | None,
        typer.Option(
            help="Several images of one identity and expression: refuse them (the default for a "
            "directory), take the first by path, or keep all (the default for a manifest)."
        ),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Also keep the images in the warehouse.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse files that do not fit, and doubles in a manifest."),
    ] = False,
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
    from fexp_store.stimuli.photographs.add import add_photographs

    wh = open_warehouse(ctx)
    listed, source = _listed(images, layout, pattern, strict=strict)
    is_manifest = layout is None and pattern is None
    kept = Doubles.keep if is_manifest and not strict else Doubles.refuse
    choice = Choice(
        expressions=tuple(filter(None, (expressions or "").split(","))),
        where=_conditions(where or [], view=view, gaze=gaze),
        doubles=doubles or kept,
    )
    chosen = choose(listed, choice)
    directory = images.parent if is_manifest else images
    with bar(f"Verifying {name}") as started:
        new = add_photographs(wh, name, directory, chosen, source, copy=copy, started=started)
    if cells := doubled(chosen):
        messages.print(f"Warning: {describe(cells)}.", style="yellow", markup=False)
    messages.print(
        f"Registered {name}: {len(chosen)} images."
        if new
        else f"{name} is registered already with these {len(chosen)} images; nothing to do."
    )
    gaps = incomplete(chosen)
    if not gaps.is_empty():
        print_frame(gaps, output_format)


def _listed(
    images: Path, layout: str | None, pattern: str | None, *, strict: bool
) -> tuple[list[Photograph], str]:
    """List the images that the arguments name, and say where they come from."""
    from fexp_store.stimuli.photographs.layouts import known_layout, layout_of_pattern
    from fexp_store.stimuli.photographs.listing import list_directory
    from fexp_store.stimuli.photographs.manifests import read_manifest

    if layout is not None and pattern is not None:
        raise BadInput("Give a layout or a pattern, not both.")
    if layout is None and pattern is None:
        if images.is_dir():
            raise BadInput(
                f"{images} is a directory: say how its files are named with --layout or --pattern, "
                "or give a manifest."
            )
        return read_manifest(images), images.name
    names = known_layout(layout) if layout is not None else layout_of_pattern(pattern or "")
    listing = list_directory(images, names)
    if listing.others:
        ignored = f"{named(listing.others)} in {images} not named like {names.example}"
        if strict:
            raise BadInput(f"{ignored}; remove or rename them, or leave --strict out.")
        messages.print(f"Warning: ignored {ignored}.", style="yellow", markup=False)
    if listing.left_out:
        messages.print(f"Left out {listing.left_out} images of other expressions.")
    return listing.photographs, names.source


def _conditions(where: list[str], **named_ones: str | None) -> dict[str, str]:
    conditions = {key: value for key, value in named_ones.items() if value is not None}
    for text in where:
        key, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"{text!r} is no condition; write it as NAME=VALUE.")
        conditions[key] = value
    return conditions


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

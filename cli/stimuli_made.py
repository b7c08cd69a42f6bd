"""``fexp stimuli render``, ``morph`` and ``prepare``: sets whose images are made here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.progress import bar
from fexp_store.cli.stimuli import SetArgument, stimuli

NewArgument = Annotated[str, typer.Argument(metavar="NEWSET", help="Name of the new set.")]
LandmarksOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV file (file, point, x, y) or directory of webmorph .tem files; by default the "
        "landmarks that the warehouse has."
    ),
]


class Align(StrEnum):
    """What images are aligned by."""

    eyes = "eyes"


@stimuli.command()
def render(
    ctx: typer.Context,
    name: SetArgument,
    identities: Annotated[int, typer.Option(min=1, help="Number of people.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the faces and of the jitter.")] = 0,
    neutral: Annotated[bool, typer.Option(help="Also render neutral faces.")] = False,
    intensity: Annotated[
        float, typer.Option(help="Strength of the expressions, above 0 and at most 1.5.")
    ] = 1.0,
    jitter: Annotated[
        float,
        typer.Option(help="Turns of head, light and gaze: 0 for none, 1 for about 6 degrees."),
    ] = 0.0,
    greyscale: Annotated[bool, typer.Option("--greyscale", help="Without colour.")] = False,
    oval_mask: Annotated[
        bool, typer.Option("--oval-mask", help="Black outside an oval, as in the study.")
    ] = False,
    size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 224,
) -> None:
    """Render people with the six basic expressions, and register the images.

    The faces are parametric models under an open licence, a stand-in for photographs; people
    have not rated their expressions. Their 68 landmarks are kept too. Needs the extra `stimuli`.

    Examples
    --------
        fexp stimuli render faces --identities 24 --seed 1

        fexp stimuli render masked --identities 104 --greyscale --oval-mask
    """
    from fexp_store.faces.render import Look
    from fexp_store.stimuli.made.rendered import render_set

    wh = open_warehouse(ctx)
    look = Look(size=size, greyscale=greyscale, oval_mask=oval_mask, jitter=jitter, seed=seed)
    with bar(f"Rendering {name}") as started:
        count = render_set(
            wh,
            name,
            identities,
            seed,
            neutral=neutral,
            intensity=intensity,
            look=look,
            started=started,
        )
    messages.print(f"Rendered and registered {name}: {count} images.")


@stimuli.command()
def morph(
    ctx: typer.Context,
    name: SetArgument,
    new_name: NewArgument,
    continua: Annotated[
        str, typer.Option(help="Pairs such as happiness-anger,anger-fear; or paper, its seven.")
    ] = "paper",
    levels: Annotated[int, typer.Option(help="Levels from 0 to 1, both included.")] = 101,
    identities: Annotated[
        int | None, typer.Option(min=1, help="Only the first people that have the expressions.")
    ] = None,
    landmarks: LandmarksOption = None,
    warp: Annotated[
        bool, typer.Option("--warp", help="Treat rendered faces as photographs.")
    ] = False,
) -> None:
    """Morph between expressions of the same person, and register the morphs.

    Rendered people are rendered anew with interpolated parameters. Photographs are warped by their
    landmarks and dissolved into each other. The ends are the images of the set itself.

    Examples
    --------
        fexp stimuli morph faces morphs --continua paper --identities 8

        fexp stimuli morph kdef morphs --continua happiness-anger --landmarks kdef.csv
    """
    from fexp_store.continua import read_continua
    from fexp_store.stimuli.made.morphed import morph_set

    wh = open_warehouse(ctx)
    with bar(f"Morphing {name}") as started:
        count = morph_set(
            wh,
            name,
            new_name,
            read_continua(continua),
            levels=levels,
            identities=identities,
            landmarks=landmarks,
            warped=warp,
            started=started,
        )
    messages.print(f"Morphed {name} and registered {new_name}: {count} images.")


@stimuli.command()
def prepare(
    ctx: typer.Context,
    name: SetArgument,
    new_name: NewArgument,
    greyscale: Annotated[bool, typer.Option("--greyscale", help="Without colour.")] = False,
    oval_mask: Annotated[
        bool, typer.Option("--oval-mask", help="Black outside an oval, as in the study.")
    ] = False,
    align: Annotated[
        Align | None, typer.Option(help="Turn, scale and shift: the eyes to one place.")
    ] = None,
    size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 224,
    landmarks: LandmarksOption = None,
) -> None:
    """Derive images from those of a set, as in the study, and register them.

    Each new image records which one it was made of. Without `--align`, the middle square of an
    image is scaled to the size.

    Example:

        fexp stimuli prepare kdef masked --greyscale --oval-mask --align eyes --landmarks kdef.csv
    """
    from fexp_store.stimuli.made.prepared import Preparation, prepare_set

    wh = open_warehouse(ctx)
    how = Preparation(greyscale, oval_mask, align is Align.eyes, size)
    with bar(f"Preparing {name}") as started:
        count = prepare_set(wh, name, new_name, how, landmarks=landmarks, started=started)
    messages.print(f"Prepared {name} and registered {new_name}: {count} images.")

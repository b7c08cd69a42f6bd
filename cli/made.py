"""``fexp stimuli render``, ``morph`` and ``prepare``: sets whose images are made here."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.options import takes
from fexp_store.cli.progress import bar
from fexp_store.cli.stimuli import SetArgument, stimuli
from fexp_store.rights import Rights
from fexp_store.stimuli.recipe import Morphing, Preparation, Recipe, Rendering

NewArgument = Annotated[str, typer.Argument(metavar="NEWSET", help="Name of the new set.")]


@stimuli.command()
@takes(Rights, "rights")
@takes(Rendering)
def render(ctx: typer.Context, name: SetArgument, options: Any, rights: Any) -> None:
    """Render people with the six basic expressions, and register the images.

    The faces are parametric models under an open licence, a stand-in for photographs; people
    have not rated their expressions. Their 68 landmarks are kept too. Needs the extra `stimuli`.

    Examples
    --------
        fexp stimuli render faces --identities 24 --seed 1

        fexp stimuli render masked --identities 104 --greyscale --oval-mask
    """
    count = _make(ctx, f"Rendering {name}", name, options, rights)
    messages.print(f"Rendered and registered {name}: {count} images.")


@stimuli.command()
@takes(Rights, "rights")
@takes(Morphing)
def morph(
    ctx: typer.Context, of: SetArgument, new_name: NewArgument, options: Any, rights: Any
) -> None:
    """Morph between expressions of the same person, and register the morphs.

    Rendered people are rendered anew with interpolated parameters. Photographs are warped by their
    landmarks and dissolved into each other. The ends are the images of the set itself.

    Examples
    --------
        fexp stimuli morph faces morphs --continua paper --identities 8

        fexp stimuli morph kdef morphs --continua happiness-anger --landmarks kdef.csv
    """
    count = _make(ctx, f"Morphing {of}", new_name, options, rights)
    messages.print(f"Morphed {of} and registered {new_name}: {count} images.")


@stimuli.command()
@takes(Rights, "rights")
@takes(Preparation)
def prepare(
    ctx: typer.Context, of: SetArgument, new_name: NewArgument, options: Any, rights: Any
) -> None:
    """Derive images from those of a set, as in the study, and register them.

    Each new image records which one it was made of. Without `--align`, the middle square of an
    image is scaled to the size.

    Example:

        fexp stimuli prepare kdef masked --greyscale --oval-mask --align eyes --landmarks kdef.csv
    """
    count = _make(ctx, f"Preparing {of}", new_name, options, rights)
    messages.print(f"Prepared {of} and registered {new_name}: {count} images.")


def _make(ctx: typer.Context, label: str, name: str, recipe: Recipe, rights: Rights) -> int:
    from fexp_store.stimuli.make import make_set

    wh = open_warehouse(ctx)
    with bar(label) as started:
        return make_set(wh, name, recipe, rights, started=started).images

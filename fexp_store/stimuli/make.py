"""Making a set by its recipe, and checking whether it was made so, for commands and studies."""

from __future__ import annotations

from pathlib import Path

from fexp_store.errors import BadInput
from fexp_store.progress import Started, silent
from fexp_store.rights import UNKNOWN, Rights
from fexp_store.stimuli.recipe import Listing, Morphing, Preparation, Recipe, Rendering, as_data
from fexp_store.stimuli.sets import Made, made_before
from fexp_store.warehouse import Warehouse


def make_set(
    wh: Warehouse,
    name: str,
    recipe: Recipe,
    rights: Rights = UNKNOWN,
    *,
    images: Path | None = None,
    started: Started = silent,
) -> Made:
    """Make a set and register it; one that was made before by the same recipe is left as it is.

    Parameters
    ----------
    recipe : Listing, Rendering, Morphing or Preparation
    rights : Rights, optional
    images : Path, optional
        For a listing: the directory, or the manifest.
    started : callable, optional
        Called with the number of images; returns a function called with the number made.

    Raises
    ------
    BadInput
        If the images cannot be made or read; nothing is registered.
    Conflict
        If the name is taken by another set; the message says in what it differs.
    """
    if isinstance(recipe, Listing):
        from fexp_store.stimuli.photographs.add import add_photographs

        assert images is not None
        return add_photographs(wh, name, images, recipe, rights, started=started)
    if isinstance(recipe, Rendering):
        from fexp_store.stimuli.made.rendered import render_set

        return render_set(wh, name, recipe, rights, started=started)
    if isinstance(recipe, Morphing):
        from fexp_store.stimuli.made.morphed import morph_set

        return morph_set(wh, name, recipe, rights, started=started)
    from fexp_store.stimuli.made.prepared import prepare_set

    return prepare_set(wh, name, recipe, rights, started=started)


def check_set(
    wh: Warehouse,
    name: str,
    recipe: Recipe,
    rights: Rights = UNKNOWN,
    *,
    images: Path | None = None,
) -> Made | None:
    """Check, without reading an image, that a set was made by a recipe, or that it can be.

    The version of the renderer may be another one: what is registered stays as it is.

    Returns
    -------
    Made or None
        None if there is no such set yet.

    Raises
    ------
    BadInput
        If files are not there that it needs.
    Conflict
        If the name is taken by another set; the message says in what it differs.
    """
    from fexp_store.stimuli.made.origin import facts_of

    facts = facts_of(wh, recipe) if isinstance(recipe, (Morphing, Preparation)) else {}
    made = made_before(wh, name, as_data(recipe, **facts), rights)
    if made is None and isinstance(recipe, Listing):
        assert images is not None
        kind = "manifest" if recipe.of_manifest else "directory"
        if not (images.is_file() if recipe.of_manifest else images.is_dir()):
            raise BadInput(f"The {kind} {images.name} of {name} does not exist.")
    return made

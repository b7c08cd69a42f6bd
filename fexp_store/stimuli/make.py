"""Making a set by its recipe, and checking whether it was made so, for commands and studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fexp_store.errors import BadInput
from fexp_store.progress import Started, silent
from fexp_store.rights import UNKNOWN, Rights
from fexp_store.stimuli.landmarks.files import content_sha256
from fexp_store.stimuli.made.morphed import morph, warps
from fexp_store.stimuli.made.prepared import prepare
from fexp_store.stimuli.made.rendered import render, renderer
from fexp_store.stimuli.photographs.add import add_photographs
from fexp_store.stimuli.recipe import Listing, Morphing, Recipe, Rendering, as_data
from fexp_store.stimuli.sets import Made, made_before, read_set, register, stored_set
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.names import check_name


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
    check_name("stimulus set", name)
    if isinstance(recipe, Listing):
        assert images is not None
        return add_photographs(wh, name, images, recipe, rights, started=started)
    data = as_data(recipe, **_origin(wh, recipe), **_software(wh, recipe))
    if made := made_before(wh, name, data, rights):
        return made
    with wh.storage.writing():
        if isinstance(recipe, Rendering):
            rows = render(wh, recipe, started)
        elif isinstance(recipe, Morphing):
            rows = morph(wh, recipe, started)
        else:
            rows = prepare(wh, recipe, started)
        return Made(len(rows), register(wh, name, rows, data, rights))


def check_set(
    wh: Warehouse,
    name: str,
    recipe: Recipe,
    rights: Rights = UNKNOWN,
    *,
    images: Path | None = None,
) -> None:
    """Check, without reading an image, that a set was made by a recipe, or that it can be.

    The version of the renderer may be another one: what is registered stays as it is.

    Raises
    ------
    BadInput
        If files are not there that it needs.
    Conflict
        If the name is taken by another set; the message says in what it differs.
    """
    made = made_before(wh, name, as_data(recipe, **_origin(wh, recipe)), rights)
    if made is None and isinstance(recipe, Listing):
        assert images is not None
        kind = "manifest" if recipe.of_manifest else "directory"
        if not (images.is_file() if recipe.of_manifest else images.is_dir()):
            raise BadInput(f"The {kind} {images.name} of {name} does not exist.")


def _origin(wh: Warehouse, recipe: Recipe) -> dict[str, str]:
    """Tell the set that a set is made of, if it is registered, and landmarks that are given."""
    facts: dict[str, str] = {}
    if isinstance(recipe, (Listing, Rendering)):
        return facts
    if stored := stored_set(wh, recipe.of):
        facts["of_sha256"] = stored["set_sha256"]
    if recipe.landmarks is not None:
        facts["landmarks"] = content_sha256(recipe.landmarks)
    return facts


def _software(wh: Warehouse, recipe: Recipe) -> dict[str, Any]:
    """Name the renderer and its version, where images are rendered."""
    morphed = isinstance(recipe, Morphing) and not warps(read_set(wh, recipe.of), recipe)
    return renderer() if morphed or isinstance(recipe, Rendering) else {}

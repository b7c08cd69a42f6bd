"""Photographs of a directory or a manifest, verified one by one and registered as a set."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from fexp_store.errors import BadInput
from fexp_store.progress import Started, silent
from fexp_store.rights import UNKNOWN, Rights
from fexp_store.stimuli import images
from fexp_store.stimuli.photographs.filters import choose, describe, doubled, incomplete
from fexp_store.stimuli.photographs.layouts import known_layout, layout_of_pattern
from fexp_store.stimuli.photographs.listing import Photograph, list_directory, named
from fexp_store.stimuli.photographs.manifests import read_manifest
from fexp_store.stimuli.recipe import Listing, as_data
from fexp_store.stimuli.sets import Made, register, stimulus
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.names import check_name


def add_manifest(wh: Warehouse, name: str, manifest: Path) -> bool:
    """Register all images that a manifest lists; whether they were new (see `add_photographs`)."""
    return add_photographs(wh, name, manifest, Listing()).new


def add_photographs(
    wh: Warehouse,
    name: str,
    place: Path,
    recipe: Listing,
    rights: Rights = UNKNOWN,
    *,
    started: Started = silent,
) -> Made:
    """Verify the photographs of a directory, or that a manifest lists, and register them as a set.

    Every image is decoded before anything is written. The images stay where they are; where that
    is, is recorded for this machine only.

    Parameters
    ----------
    place : Path
        The directory, or the manifest (see `read_manifest`).

    Raises
    ------
    BadInput
        If a label or an image cannot be used; nothing is registered.
    Conflict
        If the name is taken by other images or labels.
    """
    check_name("stimulus set", name)
    photographs, source, remarks = find(place, recipe)
    directory = (place.parent if recipe.of_manifest else place).resolve()
    advance = started(len(photographs))
    rows: list[dict[str, Any]] = []
    for photograph in photographs:
        rows.append(_row(len(rows), directory, photograph, source))
        advance(1)
    with wh.storage.writing():
        for row in rows if recipe.copy else []:
            path = directory / row["file"]
            if images.keep(wh.storage, images.read(path)) != row["image_sha256"]:
                raise BadInput(f"The image {path} changed while it was registered; add it again.")
        new = register(wh, name, rows, as_data(recipe), rights)
    wh.storage.update_local(images.ROOTS, name, str(directory))
    return Made(len(rows), new, remarks, incomplete(photographs))


def find(place: Path, recipe: Listing) -> tuple[list[Photograph], str, tuple[str, ...]]:
    """Find the photographs of a recipe, say where they come from, and what is to be known of them.

    Raises
    ------
    BadInput
        If they cannot be listed, or the recipe refuses them.
    """
    if recipe.layout is not None and recipe.pattern is not None:
        raise BadInput("Give a layout or a pattern, not both.")
    if recipe.of_manifest and place.is_dir():
        raise BadInput(
            f"{place} is a directory: say how its files are named with --layout or --pattern, "
            "or give a manifest."
        )
    remarks = []
    if recipe.of_manifest:
        listed, source = read_manifest(place), place.name
    else:
        layout = (
            known_layout(recipe.layout)
            if recipe.layout
            else layout_of_pattern(recipe.pattern or "")
        )
        found = list_directory(place, layout)
        listed, source = found.photographs, layout.source
        if found.others:
            ignored = f"{named(found.others)} in {place} not named like {layout.example}"
            if recipe.strict:
                raise BadInput(f"{ignored}; remove or rename them, or leave --strict out.")
            remarks.append(f"Warning: ignored {ignored}.")
        if found.left_out:
            remarks.append(f"Left out {found.left_out} images of other expressions.")
    chosen = choose(listed, recipe)
    if cells := doubled(chosen):
        remarks.append(f"Warning: {describe(cells)}.")
    return chosen, source, tuple(remarks)


def _row(number: int, directory: Path, photograph: Photograph, source: str) -> dict[str, Any]:
    path = directory / photograph.file
    content = images.read(path)
    images.check_picture(images.decode(content, str(path)), str(path))
    return stimulus(
        number,
        sha256(content).hexdigest(),
        photograph.identity,
        source,
        file=photograph.file,
        expression=photograph.expression,
        attributes=photograph.attributes,
    )

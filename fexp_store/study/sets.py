"""The stimulus sets of a study: listed, rendered, or made of another set; or registered already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from fexp_store.errors import BadInput, FexpError
from fexp_store.options import describe, record
from fexp_store.progress import Bar
from fexp_store.rights import Rights
from fexp_store.stimuli.make import check_set, make_set
from fexp_store.stimuli.recipe import Listing, Morphing, Preparation, Recipe, Rendering
from fexp_store.stimuli.sets import stored_set
from fexp_store.study.section import Section
from fexp_store.warehouse import Warehouse

_MADE: dict[str, tuple[type[Recipe], str]] = {
    "render": (Rendering, "Rendering"),
    "morph": (Morphing, "Morphing"),
    "prepare": (Preparation, "Preparing"),
}
"""Tables in braces: the recipe that each holds, and what its progress bar says."""


@record
class _Set:
    """What a ``[[sets]]`` section says of where its images come from: one of these, or nothing."""

    name: Annotated[str, Meta(description="name of the set.")]
    manifest: Annotated[Path | None, Meta(description="CSV or Parquet file of images.")] = None
    directory: Annotated[Path | None, Meta(description="directory of images.")] = None
    render: Annotated[dict[str, Any] | None, Meta(description="of `fexp stimuli render`.")] = None
    morph: Annotated[dict[str, Any] | None, Meta(description="of `fexp stimuli morph`.")] = None
    prepare: Annotated[dict[str, Any] | None, Meta(description="of `fexp stimuli prepare`.")] = None


@dataclass(frozen=True)
class DeclaredSet:
    """A set of a study.

    Parameters
    ----------
    recipe : Recipe or None
        None for a set that is registered already.
    images : Path or None
        For a listing: the directory, or the manifest.
    origin : str
        The key that says where the images come from; empty if none does.
    where : str
        File and line, for messages.
    """

    name: str
    recipe: Recipe | None
    rights: Rights
    images: Path | None
    origin: str
    where: str

    @property
    def of(self) -> str | None:
        """The set that it is made of."""
        return getattr(self.recipe, "of", None)


def set_of(section: Section) -> DeclaredSet:
    """Read a section.

    Raises
    ------
    BadInput
        If it names several origins, or options of another origin; with the line.
    """
    base, rights, listing = section.records(_Set, Rights, Listing)
    given = [key for key in ("manifest", "directory", *_MADE) if getattr(base, key) is not None]
    if len(given) > 1:
        raise section.refusal(given[1], f"a set has one of {' and '.join(given)}, not both.")
    origin = given[0] if given else ""
    listed = origin in ("manifest", "directory")
    for option in describe(Listing):
        if option.name in section.values and not listed:
            sentence = f"{option.name} goes with a manifest or a directory."
            raise section.refusal(option.name, sentence)
    if listed and listing.of_manifest != (origin == "manifest"):
        needs = "needs a layout or a pattern" if origin == "directory" else "has neither"
        raise section.refusal(origin, f"a {origin} {needs}: layout and pattern name its files.")
    recipe = listing if listed else None
    if origin in _MADE:
        recipe = section.make(_MADE[origin][0], getattr(base, origin), origin)
    images = base.manifest or base.directory
    return DeclaredSet(base.name, recipe, rights, images, origin, section.lines[""])


def check_declared(wh: Warehouse, declared: DeclaredSet) -> None:
    """Check that a set is registered as it is declared, or can be made.

    Recipes are compared as data; photographs are not read again.

    Raises
    ------
    BadInput
        If not; the message gives the line.
    """
    name = declared.name
    try:
        if declared.recipe is not None:
            check_set(wh, name, declared.recipe, declared.rights, images=declared.images)
        elif stored_set(wh, name) is None:
            raise BadInput(
                f"The set {name} is not registered; give a manifest, directory, render, morph or "
                "prepare."
            )
    except FexpError as error:
        raise BadInput(f"{declared.where}: {error}") from None


def make_declared(wh: Warehouse, declared: DeclaredSet, bar: Bar) -> None:
    """Register a set; one that was made before by the same recipe is left as it is."""
    assert declared.recipe is not None
    doing = _MADE[declared.origin][1] if declared.origin in _MADE else "Verifying"
    with bar(f"{doing} {declared.name}") as started:
        make_set(
            wh,
            declared.name,
            declared.recipe,
            declared.rights,
            images=declared.images,
            started=started,
        )

"""How a set is made: records that are stored with it as JSON, and compared as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from msgspec import Meta

from fexp_store.continua import read_continua
from fexp_store.errors import BadInput
from fexp_store.expressions import NEUTRAL, check_expression
from fexp_store.faces.look import Greyscale, Jitter, OvalMask, Size
from fexp_store.options import Count, Seed, make, plain, record

Data = dict[str, Any]
"""A recipe as JSON has it: its kind, every option, and what else the images depend on."""

Of = Annotated[str, Meta(description="The set whose images it is made of.")]
Landmarks = Annotated[
    Path | None,
    Meta(
        description="CSV file (file, point, x, y) or directory of webmorph .tem files; by default "
        "the landmarks that the warehouse has."
    ),
]


@record
class Listing:
    """Which photographs of a directory or of a manifest make up a set."""

    layout: Annotated[
        str | None,
        Meta(description="How the files are named: kdef, rafd, nimstim, rafdb or jaffe."),
    ] = None
    pattern: Annotated[
        str | None, Meta(description='Or a pattern, such as "{identity}_{expression}.jpg".')
    ] = None
    view: Annotated[str | None, Meta(description="Only this view, for example frontal.")] = None
    gaze: Annotated[str | None, Meta(description="Only this gaze, for example frontal.")] = None
    expressions: Annotated[
        str | None, Meta(description="Only these expressions, with commas between.")
    ] = None
    where: Annotated[
        tuple[str, ...],
        Meta(description="Only images with this attribute, as NAME=VALUE; repeatable."),
    ] = ()
    doubles: Annotated[
        Literal["refuse", "first", "keep"] | None,
        Meta(
            description="Several images of one identity and expression: refuse them (the default "
            "for a directory), take the first by path, or keep all (the default for a manifest)."
        ),
    ] = None
    copy: Annotated[bool, Meta(description="Also keep the images in the warehouse.")] = False
    strict: Annotated[
        bool, Meta(description="Refuse files that do not fit, and doubles in a manifest.")
    ] = False

    @property
    def of_manifest(self) -> bool:
        """Whether it chooses among what a manifest lists: no names of files are taken apart."""
        return self.layout is None and self.pattern is None

    @property
    def settled(self) -> str:
        """What is done about doubles."""
        return self.doubles or ("keep" if self.of_manifest and not self.strict else "refuse")

    @property
    def wanted(self) -> list[str]:
        """The expressions by their own names; empty for all."""
        labels = filter(None, (self.expressions or "").split(","))
        return sorted({check_expression(label.strip()) for label in labels})

    @property
    def conditions(self) -> dict[str, str]:
        """Attributes, and the value that each must have."""
        found = {"view": self.view, "gaze": self.gaze}
        conditions = {key: value for key, value in found.items() if value is not None}
        for text in self.where:
            key, equals, value = text.partition("=")
            if not equals:
                raise BadInput(f"{text!r} is no condition; write it as NAME=VALUE.")
            conditions[key] = value
        return conditions


@record
class Rendering:
    """People with expressions, rendered."""

    identities: Annotated[Count, Meta(description="Number of people.")] = 24
    seed: Annotated[Seed, Meta(description="Seed of the faces and of the jitter.")] = 0
    neutral: Annotated[bool, Meta(description="Also render neutral faces.")] = False
    intensity: Annotated[
        float,
        Meta(gt=0, le=1.5, description="Strength of the expressions, above 0 and at most 1.5."),
    ] = 1.0
    jitter: Jitter = 0.0
    greyscale: Greyscale = False
    oval_mask: OvalMask = False
    size: Size = 224


@record
class Morphing:
    """Morphs between expressions of each person of a set."""

    of: Of
    continua: Annotated[
        str, Meta(description="Pairs such as happiness-anger,anger-fear; or paper, its seven.")
    ] = "paper"
    levels: Annotated[
        int, Meta(ge=2, le=1001, description="Levels from 0 to 1, both included.")
    ] = 101
    identities: Annotated[
        Count | None, Meta(description="Only the first people that have the expressions.")
    ] = None
    landmarks: Landmarks = None
    warp: Annotated[bool, Meta(description="Treat rendered faces as photographs.")] = False


@record
class Preparation:
    """Images derived from those of a set, as in the study."""

    of: Of
    greyscale: Greyscale = False
    oval_mask: OvalMask = False
    align: Annotated[
        Literal["eyes"] | None, Meta(description="Turn, scale and shift: the eyes to one place.")
    ] = None
    size: Size = 224
    landmarks: Landmarks = None


Recipe = Listing | Rendering | Morphing | Preparation

KINDS: dict[str, type[Recipe]] = {
    "listed": Listing,
    "rendered": Rendering,
    "morphed": Morphing,
    "prepared": Preparation,
}


def as_data(recipe: Recipe, **facts: Any) -> Data:
    """Return a recipe as data, such that recipes that mean the same are the same.

    Parameters
    ----------
    **facts
        What the images depend on besides: the renderer, its version, hashes of what is read.
    """
    (kind,) = (name for name, cls in KINDS.items() if isinstance(recipe, cls))
    values = plain(recipe)
    if isinstance(recipe, Listing):
        values |= {"expressions": ",".join(recipe.wanted) or None, "doubles": recipe.settled}
        values |= {"where": sorted(recipe.where)}
    if isinstance(recipe, Morphing):
        values["continua"] = ",".join(map("-".join, read_continua(recipe.continua)))
    if "landmarks" in values:  # what a file holds is a fact, its name is none
        values["landmarks"] = None
    return {"kind": kind} | values | facts


def of_older_rows(rows: pl.DataFrame) -> Data | None:
    """Return the recipe of a set that was rendered before recipes were stored, from its rows.

    Each of its images says what it was rendered from; None for any other set.
    """
    sitting = read_recipe((rows["attributes"][0] or {}).get("rendered"))
    if sitting is None:
        return None
    try:
        return _of_sitting(sitting, rows)
    except (LookupError, TypeError, BadInput):
        return None


def read_recipe(text: str | None) -> Data | None:
    """Read a stored recipe; None if there is none, or what is stored is no recipe."""
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _of_sitting(sitting: Data, rows: pl.DataFrame) -> Data:
    look = {
        option: sitting["look"][option] for option in ("jitter", "greyscale", "oval_mask", "size")
    }
    people = {
        "identities": rows["identity"].n_unique(),
        "neutral": NEUTRAL in set(rows["expression"]),
    }
    told = {option: sitting[option] for option in ("seed", "intensity")}
    return as_data(make(Rendering, people | told | look))


def difference(here: Data, there: Data) -> str | None:
    """Say in which field a recipe differs from a stored one: ``warp is true here and false there``.

    How photographs are kept and checked makes no other set.
    """
    for name, value in here.items():
        if name not in ("copy", "strict") and value != there.get(name):
            return f"{name} is {_shown(value)} here and {_shown(there.get(name))} there"
    return None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

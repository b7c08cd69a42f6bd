"""People and expressions as parameters, and the head that a person makes with an expression."""

import csv
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from fexp_store.errors import BadInput
from fexp_store.expressions import BASIC
from fexp_store.faces.head_mesh import Points, data_folder, head_mesh, target
from fexp_store.faces.traits import ANCESTRIES, Colour, draw_colours, draw_shape

EXPRESSIONS = BASIC


@dataclass(frozen=True)
class Person:
    """Everything that makes one rendered identity; the same under every expression.

    Attributes
    ----------
    seed, index : int
        What the person was drawn with.
    ancestry : tuple of 3 floats
        Shares of MakeHuman's african, asian and caucasian heads; they sum to 1.
    male : float
        0 is the female head, 1 the male one.
    age : float
        Years, 18 to 70.
    mass : float
        -1 (thin) to 1 (heavy).
    shape : tuple of (str, float)
        Local face shape: morph target and its weight, 0 to 1.
    skin, lips, brow, iris, hair : tuple of 3 floats
        Colours, sRGB from 0 to 1.
    brow_shape : tuple of 3 floats
        Thickness (about 1), density (0 to 1) and arch (about 0) of the eyebrows.
    beard : float
        Darkness of the beard's shadow, 0 to 1.
    hairline : tuple of 2 floats
        Height of the hairline (decimetres from the average) and volume of the hair (decimetres).
    hair_length : float
        How far long hair hangs below the temples, decimetres; 0 for short hair.
    """

    seed: int
    index: int
    ancestry: tuple[float, float, float]
    male: float
    age: float
    mass: float
    shape: tuple[tuple[str, float], ...]
    skin: Colour
    lips: Colour
    brow: Colour
    iris: Colour
    hair: Colour
    brow_shape: tuple[float, float, float]
    beard: float
    hairline: tuple[float, float]
    hair_length: float


def person(seed: int, index: int) -> Person:
    """Draw one person; the same two numbers give the same person on every machine.

    Parameters
    ----------
    seed : int
        Not negative; names the population.
    index : int
        Not negative; which person of the population.

    Returns
    -------
    Person
    """
    if seed < 0 or index < 0:
        raise BadInput(f"A person's seed and index cannot be negative: got {seed} and {index}")
    draw = np.random.Generator(np.random.PCG64([seed, index]))
    # Dirichlet with a small concentration: mostly one ancestry, sometimes mixed.
    ancestry = draw.dirichlet([0.35, 0.35, 0.35])
    male = float(np.clip(draw.integers(2) + draw.normal(0, 0.08), 0, 1))
    age = float(18 + 52 * draw.beta(1.3, 2.0))
    mass = float(np.clip(draw.normal(0, 0.45), -1, 1))
    shape = draw_shape(draw)
    colours = draw_colours(draw, ancestry, age)
    return Person(
        seed=seed,
        index=index,
        ancestry=(float(ancestry[0]), float(ancestry[1]), float(ancestry[2])),
        male=male,
        age=age,
        mass=mass,
        shape=shape,
        **colours,
        brow_shape=(
            float(draw.normal(0.8 + 0.3 * male, 0.13)),
            float(np.clip(draw.normal(0.75, 0.12), 0.4, 1)),
            float(draw.normal(0.25 - 0.45 * male, 0.3)),
        ),
        beard=float(male > 0.5) * float(draw.beta(1.2, 2.0)),
        hairline=(float(draw.normal(-0.10, 0.06)), float(draw.uniform(0.08, 0.22))),
        hair_length=float(draw.random() < (0.7 if male < 0.5 else 0.05))
        * float(draw.uniform(0.9, 2.4)),
    )


@cache
def _recipe_rows() -> tuple[tuple[str, str, float], ...]:
    text = (importlib.resources.files("fexp_store") / "data/expression_recipes.csv").read_text()
    rows = csv.DictReader(text.splitlines())
    return tuple((row["expression"], row["arkit_unit"], float(row["weight"])) for row in rows)


def recipes() -> dict[str, dict[str, float]]:
    """Read the action-unit recipe of every expression, from ``data/expression_recipes.csv``.

    Returns
    -------
    dict of str to dict of str to float
        Expression to ARKit unit to weight (0 to 1, both sides of the face). ``neutral`` is there
        too and is empty.
    """
    table: dict[str, dict[str, float]] = {"neutral": {}}
    for expression, unit, weight in _recipe_rows():
        table.setdefault(expression, {})[unit] = weight
    return table


@cache
def unit_target(unit: str) -> Points:
    """Displacement of every control point at full weight of one ARKit unit.

    Parameters
    ----------
    unit : str
        With a side (``mouthSmileLeft``) or without (``mouthSmile``, both sides).

    Returns
    -------
    float64 array of shape (n, 3)
        Decimetres.

    Raises
    ------
    BadInput
        If there is no such unit.
    """
    folder = data_folder() / "faceunits01/targets/faceunits"
    names = [name for name in (unit, unit + "Left", unit + "Right") if _is_unit(name)]
    if not names:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.target")))
        raise BadInput(f"There is no ARKit unit {unit!r}; there are {known}")
    moved: Points = np.sum([target("unit:" + name) for name in names], axis=0)
    return moved


def _is_unit(name: str) -> bool:
    folder = data_folder() / "faceunits01/targets/faceunits"
    return name.isalnum() and (folder / f"{name}.target").is_file()


@lru_cache(maxsize=8)
def neutral_head(who: Person) -> Points:
    """Control points of a person's neutral face.

    Returns
    -------
    float64 array of shape (n, 3)
        Decimetres; shared by all callers, do not write into it.
    """
    head = head_mesh().base.copy()
    old = (who.age - 25) / 65  # MakeHuman: its young head is 25 years old, its old one 90
    for age, at_age in (("young", 1 - old), ("old", old)):
        for sex, of_sex in (("male", who.male), ("female", 1 - who.male)):
            for race, share in zip(ANCESTRIES, who.ancestry, strict=True):
                head += at_age * of_sex * share * target(f"macrodetails/{race}-{sex}-{age}")
            build = f"macrodetails/universal-{sex}-{age}-averagemuscle"
            extreme = "maxweight" if who.mass > 0 else "minweight"
            head += at_age * of_sex * (1 - abs(who.mass)) * target(f"{build}-averageweight")
            head += at_age * of_sex * abs(who.mass) * target(f"{build}-{extreme}")
    head += 1.0 * old * target("head/head-age-incr")
    for name, weight in who.shape:
        head += weight * target(name)
    return head


def expressive_head(who: Person, expression: Mapping[str, float]) -> Points:
    """Control points of a person's face with an expression.

    Parameters
    ----------
    who : Person
    expression : mapping of str to float
        ARKit unit to weight; empty for neutral. Weights add, so an interpolated mapping is a morph.

    Returns
    -------
    float64 array of shape (n, 3)
        Decimetres.
    """
    head = neutral_head(who).copy()
    for unit, weight in expression.items():
        head += weight * unit_target(unit)
    return head

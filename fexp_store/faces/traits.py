"""What distinguishes people: the local shape targets and the colours that are drawn for them."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
ANCESTRIES = ("african", "asian", "caucasian")

# Opposite ends of each local feature and the standard deviation of its weight. Features that an
# expression also moves (mouth corners, brow angle) vary less, so that people look neutral at rest.
FEATURES = (
    ("head/head-scale-horiz", "decr", "incr", 0.3),
    ("head/head-scale-vert", "decr", "incr", 0.3),
    ("head/head-fat", "decr", "incr", 0.35),
    ("forehead/forehead-scale-vert", "decr", "incr", 0.4),
    ("forehead/forehead-temple", "decr", "incr", 0.4),
    ("forehead/forehead-nubian", "decr", "incr", 0.3),
    ("eyebrows/eyebrows-trans", "down", "up", 0.25),
    ("eyebrows/eyebrows-trans", "backward", "forward", 0.35),
    ("eyebrows/eyebrows-angle", "down", "up", 0.15),
    ("eyes/*-eye-scale", "decr", "incr", 0.4),
    ("eyes/*-eye-trans", "in", "out", 0.4),
    ("eyes/*-eye-trans", "down", "up", 0.25),
    ("eyes/*-eye-height2", "decr", "incr", 0.25),
    ("eyes/*-eye-corner1", "down", "up", 0.3),
    ("eyes/*-eye-corner2", "down", "up", 0.3),
    ("eyes/*-eye-epicanthus", "in", "out", 0.35),
    ("eyes/*-eye-eyefold", "down", "up", 0.4),
    ("eyes/*-eye-bag", "decr", "incr", 0.4),
    ("nose/nose-scale-horiz", "decr", "incr", 0.45),
    ("nose/nose-scale-vert", "decr", "incr", 0.35),
    ("nose/nose-scale-depth", "decr", "incr", 0.3),
    ("nose/nose-width1", "decr", "incr", 0.45),
    ("nose/nose-width2", "decr", "incr", 0.45),
    ("nose/nose-width3", "decr", "incr", 0.45),
    ("nose/nose-hump", "decr", "incr", 0.3),
    ("nose/nose-point", "down", "up", 0.2),
    ("nose/nose-point-width", "decr", "incr", 0.35),
    ("nose/nose-curve", "concave", "convex", 0.3),
    ("nose/nose-flaring", "decr", "incr", 0.35),
    ("nose/nose-nostrils-width", "decr", "incr", 0.35),
    ("nose/nose-base", "down", "up", 0.2),
    ("mouth/mouth-scale-horiz", "decr", "incr", 0.4),
    ("mouth/mouth-scale-vert", "decr", "incr", 0.35),
    ("mouth/mouth-trans", "down", "up", 0.35),
    ("mouth/mouth-upperlip-volume", "decr", "incr", 0.4),
    ("mouth/mouth-lowerlip-volume", "decr", "incr", 0.4),
    ("mouth/mouth-upperlip-height", "decr", "incr", 0.35),
    ("mouth/mouth-lowerlip-height", "decr", "incr", 0.35),
    ("mouth/mouth-cupidsbow", "decr", "incr", 0.4),
    ("mouth/mouth-angles", "down", "up", 0.08),
    ("chin/chin-width", "decr", "incr", 0.45),
    ("chin/chin-height", "decr", "incr", 0.4),
    ("chin/chin-bones", "decr", "incr", 0.4),
    ("chin/chin-prominent", "decr", "incr", 0.4),
    ("chin/chin-prognathism", "decr", "incr", 0.25),
    ("chin/chin-jaw-drop", "decr", "incr", 0.35),
    ("chin/chin-cleft", "decr", "incr", 0.35),
    ("cheek/*-cheek-bones", "decr", "incr", 0.45),
    ("cheek/*-cheek-inner", "decr", "incr", 0.4),
    ("cheek/*-cheek-volume", "decr", "incr", 0.45),
    ("cheek/*-cheek-trans", "down", "up", 0.3),
    ("ears/*-ear-scale", "decr", "incr", 0.4),
    ("ears/*-ear-wing", "decr", "incr", 0.35),
)
OUTLINES = ("oval", "round", "rectangular", "square", "diamond", "triangular", "invertedtriangular")
STRONGEST = 0.95  # beyond full weight MakeHuman's targets fold into themselves

# sRGB, by ancestry in the order of ANCESTRIES: the lightest and the darkest skin that is drawn.
SKIN_LIGHT = np.array([[0.62, 0.44, 0.33], [0.91, 0.75, 0.62], [0.93, 0.76, 0.67]])
SKIN_DARK = np.array([[0.31, 0.20, 0.15], [0.76, 0.57, 0.43], [0.80, 0.60, 0.48]])
HAIR = np.array([[0.12, 0.10, 0.09], [0.16, 0.10, 0.07], [0.33, 0.22, 0.13], [0.62, 0.47, 0.29]])
IRIS = np.array([[0.20, 0.11, 0.06], [0.36, 0.24, 0.12], [0.36, 0.40, 0.26], [0.36, 0.49, 0.60]])


class Colours(TypedDict):
    """The colours of one person, sRGB from 0 to 1."""

    skin: Colour
    lips: Colour
    brow: Colour
    iris: Colour
    hair: Colour


def draw_shape(draw: np.random.Generator) -> tuple[tuple[str, float], ...]:
    """Draw the local shape of a face.

    Returns
    -------
    tuple of (str, float)
        Morph target and weight, 0 to 1. Paired features move together, with a little asymmetry.
    """
    shape: list[tuple[str, float]] = []
    for stem, low, high, spread in FEATURES:
        weight = float(np.clip(draw.normal(0, spread), -STRONGEST, STRONGEST))
        sides = [stem.replace("*", side) for side in ("l", "r")] if "*" in stem else [stem]
        for side in sides:
            uneven = float(draw.normal(0, 0.05)) if len(sides) == 2 else 0.0
            amount = float(np.clip(weight + uneven, -1, 1))
            shape.append((f"{side}-{high if amount > 0 else low}", abs(amount)))
    outline = OUTLINES[int(draw.integers(len(OUTLINES)))]
    shape.append((f"head/head-{outline}", float(draw.uniform(0.1, 0.5))))
    return tuple(shape)


def draw_colours(draw: np.random.Generator, ancestry: NDArray[np.float64], age: float) -> Colours:
    """Draw the colours of a person of some ancestry (3 shares) and age (years)."""
    depth = draw.beta(1.6, 1.6)
    skin = ancestry @ (SKIN_LIGHT + depth * (SKIN_DARK - SKIN_LIGHT))
    skin = np.clip(skin + draw.normal(0, 0.012, 3), 0.1, 0.97)
    # Light hair and eyes only in so far as the ancestry is caucasian.
    light = float(ancestry[2]) ** 2
    hair = _along(HAIR, draw.uniform(0, 0.25) + light * draw.uniform(0, 2.75))
    brow = 0.75 * hair
    grey = float(np.clip((age - 52) / 20 + draw.normal(0, 0.25), 0, 0.85)) * float(age > 42)
    hair = (1 - grey) * hair + grey * np.array([0.62, 0.61, 0.6])
    brow = (1 - 0.5 * grey) * brow + 0.5 * grey * np.array([0.45, 0.44, 0.43])
    iris = _along(IRIS, draw.uniform(0, 0.5) + light * draw.uniform(0, 2.5))
    pink = np.array([0.66, 0.28, 0.28])
    lips = (0.62 * skin + 0.38 * pink) * draw.uniform(0.82, 0.97)
    return Colours(
        skin=_colour(skin),
        lips=_colour(lips),
        brow=_colour(brow),
        iris=_colour(iris * draw.uniform(0.85, 1.15)),
        hair=_colour(hair),
    )


def _along(colours: NDArray[np.float64], place: float) -> NDArray[np.float64]:
    """Interpolate the colour at `place`, 0 to 3, along a line through four colours."""
    steps = np.arange(len(colours))
    return np.array([np.interp(place, steps, channel) for channel in colours.T])


def _colour(values: NDArray[np.float64]) -> Colour:
    red, green, blue = (round(float(value), 4) for value in np.clip(values, 0, 1))
    return red, green, blue

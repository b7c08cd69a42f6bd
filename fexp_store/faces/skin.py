"""What is painted on the skin: lips, brows' shade, flush, beard, freckles and the scalp's hair."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fexp_store.faces.head_mesh import Points, data_folder, head_mesh
from fexp_store.faces.person import Person
from fexp_store.faces.shading import to_linear

Mask = NDArray[np.float64]

# Where the hair begins: a scalp vertex lies behind this line, by height (both in decimetres).
HAIRLINE_HEIGHT = (6.5, 6.9, 7.15, 7.3, 7.6, 7.85, 8.0, 8.1, 8.2)
HAIRLINE_DEPTH = (-2.0, -0.3, 0.2, 0.58, 0.76, 1.0, 1.26, 1.5, 2.0)


@cache
def rest() -> Points:
    """Place the fine skin of the base head, float64 array of shape (m, 3), to paint on it."""
    points: Points = head_mesh().subdivision @ head_mesh().base
    return points


@cache
def uv_mask(name: str) -> Mask:
    """One of MakeHuman's painted masks on the fine skin, float64 array of shape (m,), 0 to 1."""
    file = data_folder() / f"mpfb2/textures/mpfb_{name}.jpg"
    with Image.open(file) as image:
        picture = np.asarray(image.convert("L"), dtype=np.float64) / 255
    height, width = picture.shape
    uv = head_mesh().uv
    column = np.clip(np.round(uv[:, 0] * (width - 1)), 0, width - 1).astype(np.int64)
    row = np.clip(np.round((1 - uv[:, 1]) * (height - 1)), 0, height - 1).astype(np.int64)
    # Sampled at control points, then subdivided: sampling fine vertices would smear across seams.
    mask: Mask = np.clip(head_mesh().subdivision @ picture[row, column], 0, 1)
    return mask


def spot(centre: tuple[float, float, float], width: tuple[float, float, float]) -> Mask:
    """Shape a soft spot on both sides of the face, float64 array of shape (m,), 0 to 1.

    Parameters
    ----------
    centre, width : tuple of 3 floats
        Place and standard deviations on the base head, decimetres.
    """
    away = (np.abs(rest() * [1, 0, 0]) + rest() * [0, 1, 1] - centre) / width
    mask: Mask = np.exp(-0.5 * np.einsum("ij,ij->i", away, away))
    return mask


def noise(draw: np.random.Generator, finest: float, coarsest: float, waves: int = 24) -> Mask:
    """Smooth random field on the skin with mean 0 and standard deviation 1.

    Parameters
    ----------
    draw : numpy.random.Generator
    finest, coarsest : float
        Wave lengths, decimetres.
    waves : int
        Number of plane waves that are added.
    """
    direction = draw.normal(size=(waves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = np.exp(draw.uniform(np.log(finest), np.log(coarsest), waves))
    phase = draw.uniform(0, 2 * np.pi, waves)
    angles = rest() @ (direction / length[:, None]).T * (2 * np.pi) + phase
    # Single precision: the cosines are most of the time that a new person takes.
    waved = np.cos(angles.astype(np.float32)).sum(axis=1, dtype=np.float64)
    field: Mask = np.sqrt(2 / waves) * waved
    return field


def scalp(who: Person, ragged: Mask) -> tuple[Mask, Mask]:
    """How much hair covers each vertex, and how far it stands off the skin.

    Parameters
    ----------
    who : Person
    ragged : float64 array of shape (m,)
        Moves the hairline, so that it is no line.

    Returns
    -------
    cover : float64 array of shape (m,)
        0 to 1.
    raised : float64 array of shape (m,)
        Decimetres.
    """
    points = rest()
    height = points[:, 1] - who.hairline[0] + 0.015 * ragged
    behind = np.interp(height, HAIRLINE_HEIGHT, HAIRLINE_DEPTH) - points[:, 2] + 0.02 * ragged
    hairy = 1 - _ears()
    # It rises behind the hairline only: the slope that faces the viewer is then hair, not skin.
    close = np.interp(points[:, 1], (7.2, 7.9), (0.3, 1.0))  # cut shorter around the ears
    raised = who.hairline[1] * close * smooth((behind - 0.02) / 0.3) * hairy
    return smooth(behind / 0.08 + 0.6) * hairy, raised


def smooth(share: Mask) -> Mask:
    """Rise from 0 at 0 to 1 at 1 without corners."""
    inside = np.clip(share, 0, 1)
    return inside * inside * (3 - 2 * inside)


@cache
def _ears() -> Mask:
    outside = np.abs(rest()[:, 0]) > 0.725
    low = (rest()[:, 1] < 7.5) & (rest()[:, 1] > 6.7)
    return np.maximum(uv_mask("ears"), (outside & low).astype(np.float64))


@cache
def beard_region() -> Mask:
    """Where a beard grows: upper lip, chin and jaw, float64 array of shape (m,), 0 to 1."""
    points = rest()
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    # The upper edge runs from the sideburn over the cheek to the corner of the mouth.
    edge = np.interp(x, (0.0, 0.15, 0.3, 0.5, 0.66, 0.75), (6.78, 6.77, 6.62, 6.72, 7.0, 7.2))
    jaw = np.clip((edge - y) / 0.12 + 0.3, 0, 1) * np.clip((y - 5.85) / 0.25, 0, 1)
    return jaw * np.clip((z - 0.35) / 0.2, 0, 1) * (1 - uv_mask("lips")) * (1 - _ears())


def paint(who: Person) -> tuple[Points, Mask, Mask, Mask]:
    """Paint a person's skin.

    Parameters
    ----------
    who : Person

    Returns
    -------
    albedo : float64 array of shape (m, 3)
        Linear light, 0 to 1.
    gloss : float64 array of shape (m,)
        Multiplies the highlight of skin.
    hair : float64 array of shape (m,)
        How much hair covers the vertex, 0 to 1.
    raised : float64 array of shape (m,)
        How far the hair stands off the skin, decimetres.
    """
    draw = np.random.Generator(np.random.PCG64([who.seed, who.index, 1]))
    blotches, pores, locks, ragged = (
        noise(draw, 0.25, 0.9),
        noise(draw, 0.035, 0.09),
        noise(draw, 0.05, 0.3),
        noise(draw, 0.12, 0.4),
    )
    colour = to_linear(np.array(who.skin)) * (1 + 0.05 * blotches + 0.035 * pores)[:, None]
    colour = _flush(colour, who)
    colour = _freckles(colour, who, draw)
    shadow = who.beard * 0.55 * beard_region() * (1 + 0.15 * pores)
    colour = _blend(colour, 0.5 * to_linear(np.array(who.brow)) + 0.25 * colour, shadow)
    lips = uv_mask("lips")
    colour = _blend(colour, to_linear(np.array(who.lips)) * (1 + 0.06 * pores[:, None]), lips)
    nostrils = spot((0.09, 6.865, 1.44), (0.035, 0.03, 0.045))
    colour = colour * (1 - 0.9 * nostrils)[:, None]
    inside = uv_mask("inside-mouth")
    colour = _blend(colour, np.array([0.10, 0.022, 0.02]), inside)
    hair, raised = scalp(who, ragged)
    strands = to_linear(np.array(who.hair)) * np.clip(1 + 0.15 * locks, 0.3, 2)[:, None]
    colour = _blend(colour, strands, hair)
    gloss = (1 + 0.15 * pores + 0.9 * spot((0, 7.0, 1.66), (0.1, 0.25, 0.2)) + 1.2 * lips) * (
        1 - 0.8 * np.maximum(hair, 0.6 * shadow)
    )
    return np.clip(colour, 0.002, 1), gloss * (1 - inside), hair, raised


def _flush(colour: Points, who: Person) -> Points:
    """Blood shows on cheeks, nose and lids, less in darker skin; age darkens below the eyes."""
    pale = float(np.mean(who.skin))
    warm = (
        0.6 * spot((0.40, 6.93, 1.3), (0.16, 0.15, 0.4))
        + 0.7 * spot((0, 6.93, 1.65), (0.10, 0.09, 0.12))
        + 0.35 * _ears()
        + 0.5 * spot((0.3, 7.29, 1.4), (0.14, 0.09, 0.1))
        + 0.3 * spot((0, 6.3, 1.5), (0.12, 0.1, 0.2))
    )
    tint = np.array([0.02, -0.20, -0.16]) * pale
    colour = colour * (1 + warm[:, None] * tint)
    tired = 0.10 + 0.25 * np.clip((who.age - 25) / 45, 0, 1)
    below = spot((0.29, 7.19, 1.38), (0.11, 0.045, 0.1)) + 0.5 * spot(
        (0.17, 7.27, 1.38), (0.05, 0.07, 0.1)
    )
    shaded: Points = colour * (1 - tired * below[:, None] * np.array([0.8, 1.0, 0.9]))
    return shaded


def _freckles(colour: Points, who: Person, draw: np.random.Generator) -> Points:
    """Moles for everyone, few; freckles for some with light skin."""
    points = rest()
    front = np.flatnonzero((points[:, 2] > 1.0) & (points[:, 1] < 7.9) & (points[:, 1] > 6.2))
    moles = int(draw.integers(0, 5))
    freckled = float(np.mean(who.skin)) > 0.72 and draw.random() < 0.2
    count = moles + (120 if freckled else 0)
    where = draw.choice(front, size=count, replace=False)
    dark = np.where(np.arange(count) < moles, 0.55, 0.22)
    wide = np.where(np.arange(count) < moles, 0.014, 0.012)
    for vertex, depth, width in zip(where, dark, wide, strict=True):
        away = np.einsum("ij,ij->i", points - points[vertex], points - points[vertex])
        colour = colour * (1 - depth * np.exp(-0.5 * away / width**2))[:, None]
    return colour


def _blend(below: Points, above: NDArray[np.float64], share: Mask) -> Points:
    return below + share[:, None] * (above - below)

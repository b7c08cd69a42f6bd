"""One person's head as meshes with lit colours, placed in front of the camera."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from fexp_store.faces import eyes, hair, mane, skin, strokes
from fexp_store.faces.head_mesh import Points, Quads, head_mesh
from fexp_store.faces.landmarks import landmark_rows
from fexp_store.faces.mouth import mouth
from fexp_store.faces.person import Person, expressive_head, neutral_head
from fexp_store.faces.shading import (
    FOLDS,
    HAIR,
    HARD,
    SKIN,
    TEETH,
    WET,
    Light,
    Surface,
    fold_depth,
    lit,
    normals,
    to_bytes,
)

# Where brows and lower lip come to lie, in half image widths from the centre: the framing of
# dlib's aligned face chips, a little wider so that forehead and chin are inside.
BROW_LINE, LIP_LINE = 0.46, -0.56
PIVOT = np.array([0.0, -0.1, -0.9])  # the head turns about its neck, behind the image plane


@dataclass(frozen=True)
class Part:
    """A mesh ready to draw.

    Attributes
    ----------
    points : float64 array of shape (n, 3)
        In half image widths; z towards the camera.
    quads : int64 array of shape (faces, 4)
    colour : uint8 array of shape (n, 3)
        sRGB, lit.
    """

    points: Points
    quads: Quads
    colour: NDArray[np.uint8]


@dataclass(frozen=True)
class Wardrobe:
    """What is computed once per person."""

    albedo: Points
    gloss: NDArray[np.float64]
    cover: NDArray[np.float64]
    raised: NDArray[np.float64]
    locks: hair.Locks
    brows: strokes.Strokes
    lashes: strokes.Strokes
    mane: strokes.Strokes
    scale: float
    shift: NDArray[np.float64]


@lru_cache(maxsize=4)
def wardrobe(who: Person) -> Wardrobe:
    """Paint, hairs and framing of a person."""
    albedo, gloss, cover, raised = skin.paint(who)
    scale, shift = _framing(who)
    return Wardrobe(
        albedo=albedo,
        gloss=gloss,
        cover=cover,
        raised=raised,
        locks=hair.locks(who, cover),
        brows=strokes.brows(who),
        lashes=strokes.lashes(who),
        mane=mane.mane(who),
        scale=scale,
        shift=shift,
    )


def _framing(who: Person) -> tuple[float, NDArray[np.float64]]:
    """Scale (half image widths a decimetre) and shift that put the neutral face in the frame."""
    points = (head_mesh().subdivision @ neutral_head(who))[landmark_rows()]
    brow, lip = points[17:27, 1].mean(), points[57, 1]
    scale = (BROW_LINE - LIP_LINE) / (brow - lip)
    middle = points[[27, 30, 33, 51, 57], 0].mean()
    depth = points[17:, 2].mean()
    return float(scale), np.array([-scale * middle, BROW_LINE - scale * brow, -scale * depth])


def build(
    who: Person, expression: Mapping[str, float], light: Light, turn: NDArray[np.float64]
) -> tuple[list[Part], Points]:
    """Build the parts of one image, and its landmarks in space.

    Parameters
    ----------
    who : Person
    expression : mapping of str to float
        ARKit unit to weight.
    light : Light
    turn : float64 array of shape (3, 3)
        Rotation of the head.

    Returns
    -------
    parts : list of Part
        Skin, eyes, teeth, brows, lashes.
    landmarks : float64 array of shape (68, 3)
        In half image widths.
    """
    own = wardrobe(who)
    head = (own.scale * expressive_head(who, expression) + own.shift - PIVOT) @ turn.T + PIVOT
    mesh = head_mesh()
    surface = mesh.subdivision @ head
    landmarks = surface[landmark_rows()]
    surface = surface + (own.scale * own.raised)[:, None] * normals(surface, mesh.quads)
    normal = normals(surface, mesh.quads)
    return [
        _skin(own, surface, normal, light),
        _eyes(who, head, light),
        _mouth(head, own.scale, light),
        _hairs(own.brows, surface, own.scale, light),
        _hairs(own.lashes, surface, own.scale, light),
        _locks(own, surface, normal, light),
        _hairs(own.mane, surface, own.scale, light),
    ], landmarks


def _skin(own: Wardrobe, surface: Points, normal: Points, light: Light) -> Part:
    colour = lit(own.albedo, normal, SKIN, light, own.gloss)
    matt = lit(own.albedo, normal, HAIR, light)
    colour = colour + own.cover[:, None] * (matt - colour)
    folded = FOLDS * fold_depth(surface, normal) * (1 - own.cover)
    colour = colour * (1 - folded[:, None] * np.array([0.75, 0.95, 1.0]))
    return Part(surface, _shown(), to_bytes(colour))


@cache
def _shown() -> Quads:
    """Quads of the skin that can face the camera; the back of the head would only cost time."""
    quads = head_mesh().quads
    points = skin.rest()
    middle = points[quads].mean(axis=1)
    facing = normals(points, quads)[quads][:, :, 2].max(axis=1)
    shown: Quads = quads[(facing > -0.5) & (middle[:, 2] > -0.5) & (middle[:, 1] > 5.4)]
    return shown


def _eyes(who: Person, head: Points, light: Light) -> Part:
    points, quads, _ = eyes.eyeballs(head)
    colour = lit(eyes.eye_colour(who), normals(points, quads), WET, light)
    return Part(points, quads, to_bytes(colour))


def _mouth(head: Points, scale: float, light: Light) -> Part:
    inside = mouth()
    points = inside.operator @ head + scale * inside.offset
    colour = lit(inside.albedo, normals(points, inside.quads), TEETH, light)
    return Part(points, inside.quads, to_bytes(colour))


def _hairs(hairs: strokes.Strokes, surface: Points, scale: float, light: Light) -> Part:
    points = hairs.on_skin @ surface + scale * hairs.offset
    facing = np.tile([0.0, 0.3, 0.95], (len(points), 1))
    colour = lit(hairs.colour, facing, Surface(HARD, 0.0, 1.0), light)
    return Part(points, hairs.quads, to_bytes(colour))


def _locks(own: Wardrobe, surface: Points, normal: Points, light: Light) -> Part:
    points = hair.lay(own.locks, surface, normal, own.scale)
    facing = np.repeat(normal[own.locks.root], 4, axis=0)
    return Part(points, own.locks.quads, to_bytes(lit(own.locks.colour, facing, HAIR, light)))

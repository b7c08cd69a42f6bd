"""Eyeballs: sclera, iris, pupil and cornea, turned by the units that move the gaze."""

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from fexp_store.faces.head_mesh import Points, Quads, head_mesh
from fexp_store.faces.person import Person
from fexp_store.faces.shading import to_linear

RINGS, SECTORS = 56, 56
IRIS, PUPIL, LIMBUS = 0.47, 0.17, 0.06  # radians seen from the centre of the eye


@cache
def ball() -> tuple[Points, Quads, NDArray[np.float64]]:
    """Model a unit eyeball that looks along z.

    Returns
    -------
    points : float64 array of shape (n, 3)
    quads : int64 array of shape (faces, 4)
    angle : float64 array of shape (n,)
        Between the point and the line of sight, radians.
    """
    ring = np.concatenate([np.linspace(0.001, 0.6, RINGS - 14), np.linspace(0.64, 1.75, 14)])
    turn = np.linspace(0, 2 * np.pi, SECTORS, endpoint=False)
    angle = np.repeat(ring, SECTORS)
    around = np.tile(turn, RINGS)
    # The cornea is a smaller sphere in front of the larger one.
    bulge = 1 + 0.045 * np.clip(1 - (angle / 0.52) ** 2, 0, 1)
    points = (
        np.stack(
            [np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], axis=1
        )
        * bulge[:, None]
    )
    start = np.arange(RINGS - 1)[:, None] * SECTORS
    here, there = np.arange(SECTORS), np.roll(np.arange(SECTORS), -1)
    corners = [start + here, start + SECTORS + here, start + SECTORS + there, start + there]
    return points, np.stack(corners, axis=-1).reshape(-1, 4), angle


@cache
def _sides() -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """Control points of the left and right eye, and those around the pupil."""
    mesh = head_mesh()
    sides = []
    for name in ("helper-l-eye", "helper-r-eye"):
        points = np.unique(mesh.parts[name])
        depth = mesh.base[points][:, 2]
        sides.append((points, points[depth > depth.max() - 0.01]))
    return tuple(sides)


def eyeballs(head: Points) -> tuple[Points, Quads, Points]:
    """Both eyeballs of a head, turned as its control points say.

    Parameters
    ----------
    head : float64 array of shape (n, 3)
        Control points.

    Returns
    -------
    points : float64 array of shape (k, 3)
    quads : int64 array of shape (faces, 4)
    sight : float64 array of shape (k, 3)
        Unit line of sight of the eye that the point belongs to.
    """
    unit, quads, _ = ball()
    placed, sight = [], []
    for points, pupil in _sides():
        low, high = head[points].min(axis=0), head[points].max(axis=0)
        width, height, _ = (high - low) / 2
        radii = np.array([width, height, (width + height) / 2])
        # Measured from the back, because the cornea bulges out of the ball in front.
        centre = np.array([*((low + high)[:2] / 2), low[2] + radii[2]])
        forward = _unit(head[pupil].mean(axis=0) - centre)
        right = _unit(np.cross([0.0, 1.0, 0.0], forward))
        turn = np.stack([right, np.cross(forward, right), forward])
        placed.append(centre + 0.985 * radii * (unit @ turn))
        sight.append(np.tile(forward, (len(unit), 1)))
    return np.concatenate(placed), np.concatenate([quads, quads + len(unit)]), np.concatenate(sight)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


@lru_cache(maxsize=8)
def eye_colour(who: Person) -> Points:
    """Albedo of both eyeballs of a person, linear light, float64 array of shape (k, 3)."""
    points, _, angle = ball()
    draw = np.random.Generator(np.random.PCG64([who.seed, who.index, 4]))
    around = np.arctan2(points[:, 1], points[:, 0])
    streaks = sum(
        draw.normal() * np.cos(k * around + draw.uniform(0, 6.3)) for k in (5, 9, 14, 19, 23, 26)
    )
    iris = to_linear(np.array(who.iris))[None] * (1 + 0.14 * np.asarray(streaks))[:, None]
    # A lighter collar around the pupil and a dark ring where the iris ends.
    iris = iris * (1.25 - 0.5 * _step(angle, 0.30, 0.14))[:, None]
    iris = iris * (1 - 0.65 * np.exp(-(((angle - IRIS) / LIMBUS) ** 2)))[:, None]
    white = to_linear(np.array([0.84, 0.82, 0.80]))[None]
    white = white * (1 - 0.25 * _step(angle, 1.0, 0.3)[:, None] * np.array([0.2, 1.0, 1.0]))
    colour = iris + _step(angle, IRIS, 0.04)[:, None] * (white - iris)
    colour = colour * (0.012 + 0.988 * _step(angle, PUPIL, 0.03))[:, None]
    return np.tile(np.clip(colour, 0.003, 1), (2, 1))


def _step(value: NDArray[np.float64], place: float, width: float) -> NDArray[np.float64]:
    share = np.clip((value - place) / width + 0.5, 0, 1)
    return share * share * (3 - 2 * share)

"""Long hair: locks that hang from the sides and the back of the head over ears and neck."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fexp_store.faces.head_mesh import Points, Quads
from fexp_store.faces.person import Person
from fexp_store.faces.shading import to_linear
from fexp_store.faces.skin import rest
from fexp_store.faces.strokes import Strokes

SIDE_LOCKS, BACK_LOCKS = 520, 160
JOINTS = 7  # points along a lock


def mane(who: Person) -> Strokes:
    """Hang a person's long hair; no locks at all if ``who.hair_length`` is 0.

    Parameters
    ----------
    who : Person

    Returns
    -------
    Strokes
    """
    draw = np.random.Generator(np.random.PCG64([who.seed, who.index, 6]))
    counts = (SIDE_LOCKS, BACK_LOCKS) if who.hair_length > 0 else (0, 0)
    root = np.concatenate(
        [draw.choice(region, count) for region, count in zip(_regions(), counts, strict=True)]
    )
    path = _paths(draw, rest()[root], who.hair_length)
    half = draw.uniform(0.012, 0.03, (len(root), 1, 1)) * [1.0, 0.0, 0.0]
    taper = np.linspace(1.0, 0.5, JOINTS)[None, :, None]
    offset = np.stack([path - half * taper, path + half * taper], axis=2)
    points = 2 * JOINTS * len(root)
    rows = np.arange(points)
    on_skin = sp.csr_matrix(
        (np.ones(points), (rows, np.repeat(root, 2 * JOINTS))), shape=(points, len(rest()))
    )
    return Strokes(on_skin, offset.reshape(-1, 3), _quads(len(root)), _colour(draw, who, root))


def _regions() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    x, y, z = np.abs(rest()[:, 0]), rest()[:, 1], rest()[:, 2]
    side = (x > 0.55) & (y > 7.55) & (y < 8.05) & (z > -0.3) & (z < 0.72)
    back = (y > 7.3) & (y < 7.9) & (z < -0.2)
    return np.flatnonzero(side), np.flatnonzero(back)


def _paths(draw: np.random.Generator, start: Points, length: float) -> Points:
    """Points along each lock, from its root, decimetres, shape (locks, JOINTS, 3)."""
    count = len(start)
    along = np.linspace(0, 1, JOINTS)[None, :]
    # Every lock ends near the same height, wherever it begins.
    fall = (start[:, 1:2] - 7.6 + length) * draw.uniform(0.85, 1.05, (count, 1))
    outward = np.sign(start[:, :1]) * (np.abs(start[:, :1]) > 0.5)
    # Out over the ear first, then in towards the neck.
    bulge = draw.uniform(0.06, 0.17, (count, 1)) * np.sin(np.pi * np.minimum(1.7 * along, 1.25))
    wave = draw.uniform(0.0, 0.02, (count, 1)) * np.sin(
        draw.uniform(4, 9, (count, 1)) * along + draw.uniform(0, 6.3, (count, 1))
    )
    forward = draw.uniform(-0.05, 0.12, (count, 1)) * np.sin(np.pi * np.minimum(2 * along, 1))
    return np.stack([outward * bulge + wave, -fall * along, forward + 0.02], axis=2)


def _quads(locks: int) -> Quads:
    lock = 2 * JOINTS * np.arange(locks)[:, None]
    low = (lock + 2 * np.arange(JOINTS - 1)[None, :]).reshape(-1)
    return np.stack([low, low + 1, low + 3, low + 2], axis=1).astype(np.int64)


def _colour(draw: np.random.Generator, who: Person, root: NDArray[np.int64]) -> Points:
    """Linear light of every point: each lock its own shade, darker at the back and inside."""
    shade = np.clip(1 + 0.28 * draw.normal(size=len(root)), 0.4, 1.8)
    shade = shade * np.interp(rest()[root, 2], (-0.4, 0.5), (0.35, 1.0))
    shine = 1 + 0.35 * np.exp(-(((np.linspace(0, 1, JOINTS) - 0.25) / 0.15) ** 2))
    light = np.repeat((shade[:, None] * shine[None, :]).reshape(-1), 2)
    colour: Points = np.clip(to_linear(np.array(who.hair)) * light[:, None], 0, 1)
    return colour

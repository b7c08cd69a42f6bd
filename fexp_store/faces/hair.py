"""The hair of the head: locks combed over the scalp, which is itself raised and coloured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.faces.head_mesh import Points, Quads
from fexp_store.faces.person import Person
from fexp_store.faces.shading import to_linear
from fexp_store.faces.skin import rest

LOCKS = 5000
HEAD_RADIUS = 0.8  # decimetres
# Ways to comb, as directions on the base head (x to its left): back, to either side, forward.
COMBS = np.array([[0.0, 0.7, -1.0], [0.9, 0.35, -0.5], [-0.9, 0.35, -0.5], [0.25, -0.35, 0.8]])


@dataclass(frozen=True)
class Locks:
    """Locks of hair, each a ribbon that lies on the skin.

    Attributes
    ----------
    root : int64 array of shape (n,)
        Fine skin vertex at which the lock begins.
    aside, length, width, lift : float64 arrays of shape (n,) ((n, 2) for `aside`)
        Decimetres.
    comb : float64 array of shape (n, 3)
        Direction before it is laid on the surface.
    quads : int64 array of shape (n, 4)
    colour : float64 array of shape (4 * n, 3)
        Linear light.
    """

    root: NDArray[np.int64]
    aside: Points
    length: NDArray[np.float64]
    width: NDArray[np.float64]
    lift: NDArray[np.float64]
    comb: Points
    quads: Quads
    colour: Points


def locks(who: Person, cover: NDArray[np.float64]) -> Locks:
    """Plant a person's hair.

    Parameters
    ----------
    who : Person
    cover : float64 array of shape (m,)
        How much hair covers each fine skin vertex, 0 to 1.
    """
    draw = np.random.Generator(np.random.PCG64([who.seed, who.index, 5]))
    front = rest()[:, 2] > -0.1  # the back of the head is never seen
    above = rest()[:, 1] > 7.5  # lower down single locks would stand out from the ears
    scalp = np.flatnonzero((cover > 0.35) & front & above)
    root = draw.choice(scalp, LOCKS)
    comb = _comb(draw, rest()[root])
    shade = np.clip(1 + 0.3 * draw.normal(size=LOCKS), 0.4, 2.0)
    colour = to_linear(np.array(who.hair)) * np.repeat(shade, 4)[:, None]
    return Locks(
        root=root,
        aside=draw.normal(0, 0.018, (LOCKS, 2)),
        length=draw.uniform(0.08, 0.2, LOCKS),
        width=draw.uniform(0.008, 0.02, LOCKS),
        lift=draw.uniform(0.002, 0.012, LOCKS),
        comb=comb,
        quads=np.arange(4 * LOCKS, dtype=np.int64).reshape(-1, 4),
        colour=np.clip(colour, 0, 1),
    )


def _comb(draw: np.random.Generator, place: Points) -> Points:
    top = COMBS[int(draw.integers(len(COMBS)))]
    down = np.array([0.0, -1.0, -0.35])
    # Below the temples hair hangs, however the top is combed.
    hanging = np.clip((7.95 - place[:, 1]) / 0.3, 0, 1)[:, None]
    combed: Points = top + hanging * (down - top) + draw.normal(0, 0.16, place.shape)
    return combed


def lay(hair: Locks, surface: Points, normal: Points, scale: float) -> Points:
    """Corners of the locks on a posed head.

    Parameters
    ----------
    hair : Locks
    surface, normal : float64 arrays of shape (m, 3)
        Fine skin, with its hair's volume, and unit normals.
    scale : float
        Units of `surface` in a decimetre.

    Returns
    -------
    float64 array of shape (4 * n, 3)
    """
    up = normal[hair.root]
    along = hair.comb - np.einsum("ij,ij->i", hair.comb, up)[:, None] * up
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(up, along)
    root = surface[hair.root] + scale * (
        hair.aside[:, :1] * along + hair.aside[:, 1:] * across + hair.lift[:, None] * up
    )
    # The head curves away below a straight lock.
    sag = hair.length**2 / (2 * HEAD_RADIUS) + 0.3 * hair.lift
    tip = root + scale * (hair.length[:, None] * along - sag[:, None] * up)
    half = scale * hair.width[:, None] / 2 * across
    low, high = tip + 0.4 * half, tip - 0.4 * half
    return np.stack([root - half, root + half, low, high], axis=1).reshape(-1, 3)

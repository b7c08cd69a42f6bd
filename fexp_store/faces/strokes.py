"""Brow hairs and eyelashes: thin ribbons that ride on the skin."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from fexp_store.faces.head_mesh import Points, Quads, head_mesh
from fexp_store.faces.person import Person
from fexp_store.faces.shading import to_linear
from fexp_store.faces.skin import rest

# The middle of the left eyebrow on the base head: across and up, decimetres.
BROW_ACROSS = (0.085, 0.20, 0.33, 0.45, 0.55)
BROW_UP = (7.420, 7.445, 7.468, 7.450, 7.395)
BROW_HALF = (0.030, 0.036, 0.033, 0.024, 0.008)
BROW_LEAN = (1.0, 0.6, 0.3, -0.1, -0.4)  # radians from horizontal; hairs at the nose stand up
LIFT = np.array([0.0, 0.0, 0.006])  # in front of the skin, decimetres
# Edge of the left eyelids, from the inner to the outer corner.
UPPER_LID = (11485, 11484, 11483, 11465, 11466, 11467, 11468, 11469, 11470, 11471)
LOWER_LID = (11482, 11481, 11480, 11479, 11478, 11477, 11476, 11475, 11474)


@dataclass(frozen=True)
class Strokes:
    """Ribbons as a linear map of the fine skin.

    Attributes
    ----------
    on_skin : sparse matrix of shape (points, m)
    offset : float64 array of shape (points, 3)
        Added after the map, decimetres.
    quads : int64 array of shape (ribbons, 4)
    colour : float64 array of shape (points, 3)
        Linear light.
    """

    on_skin: sp.csr_matrix
    offset: Points
    quads: Quads
    colour: Points


def brows(who: Person) -> Strokes:
    """Grow both eyebrows of a person."""
    draw = np.random.Generator(np.random.PCG64([who.seed, who.index, 2]))
    thick, density, arch = who.brow_shape
    count = int(460 * density)
    along = draw.uniform(0, 1, (2, count))
    across = np.clip(draw.normal(0, 0.5, (2, count)), -1.1, 1.1)
    steps = np.linspace(0, 1, len(BROW_ACROSS))
    x = np.interp(along, steps, BROW_ACROSS)
    y = np.interp(along, steps, BROW_UP) + 0.03 * arch * np.exp(-(((along - 0.62) / 0.25) ** 2))
    y = y + across * thick * np.interp(along, steps, BROW_HALF)
    # Hairs converge on the middle line: those below it lean up, those above lean down.
    lean = np.interp(along, steps, BROW_LEAN) - 0.35 * across + draw.normal(0, 0.12, (2, count))
    length = draw.uniform(0.045, 0.075, (2, count)) * np.interp(along, steps, (0.7, 1, 1, 0.9, 0.7))
    side = np.array([[1.0], [-1.0]])
    root = np.stack([side * x, y], axis=-1).reshape(-1, 2)
    step = np.stack([side * length * np.cos(lean), length * np.sin(lean)], -1).reshape(-1, 2)
    shade = np.repeat(draw.uniform(0.75, 1.35, 2 * count), 4)
    width = draw.uniform(0.004, 0.007, (2 * count, 1))
    corners = _ribbon(root, step, width)
    on_skin, offset = _attach(corners)
    # A hair lets the skin shine through, the more so at its tip.
    share = np.tile([0.9, 0.9, 0.5, 0.5], 2 * count)[:, None]
    skin = to_linear(np.array(who.skin))
    colour = skin + share * (to_linear(np.array(who.brow)) * shade[:, None] - skin)
    return Strokes(on_skin, offset + LIFT, _quads(2 * count), np.clip(colour, 0, 1))


def _ribbon(root: Points, step: Points, width: Points) -> Points:
    """Corners of tapered ribbons, four to a ribbon, shape (4 * ribbons, 2)."""
    sideways = step[:, ::-1] * [-1, 1] / np.linalg.norm(step, axis=1, keepdims=True) * width / 2
    tip = root + step
    return np.stack(
        [root - sideways, root + sideways, tip + 0.3 * sideways, tip - 0.3 * sideways], axis=1
    ).reshape(-1, 2)


def _quads(ribbons: int) -> Quads:
    return np.arange(4 * ribbons, dtype=np.int64).reshape(-1, 4)


@cache
def _front() -> tuple[cKDTree, NDArray[np.int64]]:
    points = rest()
    front = np.flatnonzero((points[:, 2] > 0.9) & (points[:, 1] > 7.36) & (points[:, 1] < 7.8))
    return cKDTree(points[front][:, :2]), front


def _attach(places: Points, nearest: int = 4) -> tuple[sp.csr_matrix, Points]:
    """Tie places on the front of the base head (across and up) to the fine skin near them.

    Returns
    -------
    sparse matrix of shape (points, m)
        Weights of the nearest vertices, by inverse distance.
    float64 array of shape (points, 3)
        What is left to the place, decimetres.
    """
    tree, front = _front()
    away, found = tree.query(places, nearest)
    weights = 1 / (away + 0.002)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(places)), nearest)
    shape = (len(places), len(rest()))
    on_skin = sp.csr_matrix((weights.ravel(), (rows, front[found].ravel())), shape=shape)
    left = places - (on_skin @ rest())[:, :2]
    return on_skin, np.column_stack([left, np.zeros(len(left))])


@cache
def _lid(edge: tuple[int, ...], right: bool) -> NDArray[np.int64]:
    mesh = head_mesh()
    points = mesh.base[mesh.skin]
    places = mesh.base[list(edge)] * ([-1, 1, 1] if right else [1, 1, 1])
    rows: NDArray[np.int64] = cKDTree(points).query(places)[1]
    return rows


def lashes(who: Person) -> Strokes:
    """Grow the lashes of both eyes, upper and lower; darker than the brows."""
    draw = np.random.Generator(np.random.PCG64([who.seed, who.index, 3]))
    female = 1 - who.male
    dark = to_linear(np.array(who.brow)) * 0.45
    # Lower lashes are finer than a pixel: drawn in the colour that the skin lends them.
    faint = 0.45 * dark + 0.55 * to_linear(np.array(who.skin))
    parts = [
        _lash_row(draw, edge, right, up, length)
        for right in (False, True)
        for edge, up, length in (
            (UPPER_LID, 1.0, 0.022 + 0.016 * female),
            (LOWER_LID, -1.0, 0.008 + 0.006 * female),
        )
    ]
    on_skin = sp.csr_matrix(sp.vstack([part[0] for part in parts]))
    offset = np.concatenate([part[1] for part in parts])
    colour = np.concatenate(
        [np.tile(dark if k % 2 == 0 else faint, (len(part[1]), 1)) for k, part in enumerate(parts)]
    )
    return Strokes(on_skin, offset, _quads(len(offset) // 4), colour)


def _lash_row(
    draw: np.random.Generator, edge: tuple[int, ...], right: bool, up: float, length: float
) -> tuple[sp.csr_matrix, Points]:
    rows = _lid(edge, right)
    count = 110 if up > 0 else 60
    place = np.sort(draw.uniform(0, len(rows) - 1.001, count))
    left = place.astype(np.int64)
    share = place - left
    points = np.repeat(np.arange(count), 4)
    shape = (4 * count, len(rest()))
    index = np.arange(4 * count)
    on_skin = sp.csr_matrix(
        (
            np.r_[1 - share[points], share[points]],
            (np.r_[index, index], np.r_[rows[left[points]], rows[left[points] + 1]]),
        ),
        shape=shape,
    )
    outward = (place / len(rows) - 0.4) * (-1 if right else 1)
    reach = length * draw.uniform(0.7, 1.2, count)
    half = 0.002
    tip = np.stack([1.3 * outward * reach, up * 0.5 * reach, 0.8 * reach], axis=1)
    sideways = np.tile([half, 0.0, 0.0], (count, 1))
    low, high = tip + 0.2 * sideways, tip - 0.2 * sideways
    offset = np.stack([-sideways, sideways, low, high], axis=1).reshape(-1, 3)
    return on_skin, offset + LIFT

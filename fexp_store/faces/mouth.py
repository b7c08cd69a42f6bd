"""Teeth and tongue: what an open mouth shows."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fexp_store.faces.head_mesh import Points, Quads, head_mesh, subdivide
from fexp_store.faces.shading import to_linear

# Distance of the gaps between teeth from the middle, along the arch, decimetres (Wheeler's Dental
# Anatomy gives widths of 8.5, 6.5, 7.5, 7, 7 and 10 mm above, 5, 5.5, 7, 7, 7, 11 below).
UPPER_GAPS = (0.0, 0.085, 0.15, 0.225, 0.295, 0.365, 0.465)
LOWER_GAPS = (0.0, 0.050, 0.105, 0.175, 0.245, 0.315, 0.425)
ARCH_CENTRE, ARCH_RADIUS = 1.18, 0.31  # a circle through the base mesh's front teeth, decimetres
# The base mesh hides its upper teeth behind the lip; people show 2 to 4 mm when the lips part.
UPPER_DROP = 0.035
NARROWER = 0.1
IVORY, TONGUE = (0.95, 0.92, 0.86), (0.62, 0.30, 0.29)  # sRGB


@dataclass(frozen=True)
class Mouth:
    """Teeth and tongue as a linear map of the head's control points.

    Attributes
    ----------
    operator : sparse matrix of shape (k, n)
    offset : float64 array of shape (k, 3)
        Added after the map, decimetres.
    quads : int64 array of shape (faces, 4)
    albedo : float64 array of shape (k, 3)
        Linear light.
    """

    operator: sp.csr_matrix
    offset: Points
    quads: Quads
    albedo: Points


@cache
def mouth() -> Mouth:
    """Both rows of teeth and the tongue; the same for everybody."""
    base = head_mesh().base
    parts = [
        _smooth(name, rounds)
        for name, rounds in (
            ("helper-upper-teeth", 3),
            ("helper-lower-teeth", 3),
            ("helper-tongue", 1),
        )
    ]
    upper, lower, tongue = (operator @ base for operator, _ in parts)
    starts = np.cumsum([0, len(upper), len(lower)])
    drop = np.zeros((len(upper) + len(lower) + len(tongue), 3))
    drop[: len(upper), 1] = -UPPER_DROP
    # A narrower arch keeps the back teeth inside the corners of a pressed mouth.
    drop[: starts[2], 0] = -NARROWER * np.concatenate([upper, lower])[:, 0]
    deep = np.clip((tongue[:, 2:] - 0.8) / 0.6, 0.1, 0.55)
    return Mouth(
        operator=sp.csr_matrix(sp.vstack([operator for operator, _ in parts])),
        offset=drop,
        quads=np.concatenate(
            [quads + start for (_, quads), start in zip(parts, starts, strict=True)]
        ),
        albedo=np.concatenate(
            [
                _tooth_colour(upper, UPPER_GAPS),
                _tooth_colour(lower, LOWER_GAPS),
                to_linear(np.array(TONGUE)) * deep,
            ]
        ),
    )


def _smooth(name: str, rounds: int) -> tuple[sp.csr_matrix, Quads]:
    mesh = head_mesh()
    used, local = np.unique(mesh.parts[name], return_inverse=True)
    fine, quads = subdivide(local.reshape(-1, 4), len(used), rounds)
    pick = sp.csr_matrix(
        (np.ones(len(used)), (np.arange(len(used)), used)), shape=(len(used), len(mesh.base))
    )
    return sp.csr_matrix(fine @ pick), quads


def _tooth_colour(points: Points, gaps: tuple[float, ...]) -> Points:
    along = _along_arch(points)
    nearest = np.abs(along[:, None] - np.array(gaps)).min(axis=1)
    shade = 1 - 0.4 * np.exp(-((nearest / 0.007) ** 2))
    # Less light reaches the back teeth.
    deep = np.clip(1.15 - along / 0.42, 0.12, 1)
    colour: Points = to_linear(np.array(IVORY)) * (shade * deep)[:, None]
    return colour


def _along_arch(points: Points) -> NDArray[np.float64]:
    """Length of the dental arch from its middle to each point, decimetres."""
    forward = np.maximum(points[:, 2] - ARCH_CENTRE, 1e-6)
    return ARCH_RADIUS * np.abs(np.arctan2(points[:, 0], forward))

"""Light on a surface: colours of lit vertices, so that images do not depend on a driver's shaders.

VTK only rasterises: every vertex already has its final colour. That leaves the light the same on
every machine, and lets folds of the skin darken, which is what makes a frown legible.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fexp_store.faces.head_mesh import Points, Quads, head_mesh

EYE = np.array([0.0, 0.0, 1.0])  # towards the camera, which is far enough to be one direction
FOLDS = 0.9  # how strongly a concave fold darkens
# Blood under the skin lets red light travel further into the shadow: Gaussian widths by channel
# are replaced by the cheaper wrap lighting (Green, GPU Gems, 2004, chapter 16).
SKIN_WRAP = np.array([0.38, 0.24, 0.18])
HARD = np.array([0.05, 0.05, 0.05])


@dataclass(frozen=True)
class Light:
    """Direction of the main light (towards it; need not have length 1)."""

    toward: tuple[float, float, float] = (-0.45, 0.75, 1.0)


@dataclass(frozen=True)
class Surface:
    """How a material answers light.

    Attributes
    ----------
    wrap : float64 array of shape (3,)
        How far light reaches beyond the terminator, per channel, 0 to 1.
    gloss : float
        Strength of the highlight.
    sharpness : float
        Exponent of the highlight.
    """

    wrap: NDArray[np.float64]
    gloss: float
    sharpness: float


SKIN = Surface(SKIN_WRAP, 0.09, 14.0)
HAIR = Surface(np.array([0.3, 0.3, 0.3]), 0.05, 10.0)
TEETH = Surface(np.array([0.3, 0.3, 0.3]), 0.15, 30.0)
WET = Surface(np.array([0.35, 0.33, 0.33]), 0.9, 350.0)


def normals(points: Points, quads: Quads) -> Points:
    """Compute the unit normal of each vertex, float64 array of shape (n, 3)."""
    a, b, c, d = (points[quads[:, k]] for k in range(4))
    faces = np.cross(c - a, d - b)
    sums = np.stack(
        [np.bincount(quads.ravel(), np.repeat(faces[:, k], 4), len(points)) for k in range(3)],
        axis=1,
    )
    unit: Points = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return unit


@cache
def _neighbours() -> sp.csr_matrix:
    quads = head_mesh().quads
    count = head_mesh().subdivision.shape[0]
    a, b = quads.ravel(), np.roll(quads, -1, axis=1).ravel()
    links = sp.csr_matrix((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), shape=(count, count))
    links.data[:] = 1
    return sp.csr_matrix(sp.diags(1 / np.asarray(links.sum(axis=1)).ravel()) @ links)


def fold_depth(points: Points, normal: Points) -> NDArray[np.float64]:
    """How concave the skin is around each vertex: 0 on flat or convex skin, 1 in a deep fold."""
    mean = _neighbours()
    inward = np.einsum("ij,ij->i", mean @ points - points, normal)
    edge = np.sqrt(np.einsum("ij,ij->i", mean @ points - points, mean @ points - points)) + 4e-3
    hollow = np.clip(inward / edge, -0.3, 1)
    for _ in range(6):
        hollow = mean @ hollow
    folded: NDArray[np.float64] = np.clip(hollow * 2.2, 0, 1)
    return folded


def lit(
    albedo: Points,
    normal: Points,
    surface: Surface,
    light: Light,
    gloss: NDArray[np.float64] | float = 1.0,
) -> Points:
    """Colour of lit vertices.

    Parameters
    ----------
    albedo : float64 array of shape (n, 3)
        Linear light, 0 to 1.
    normal : float64 array of shape (n, 3)
        Of length 1.
    surface : Surface
    light : Light
    gloss : float64 array of shape (n,) or float
        Multiplies the highlight.

    Returns
    -------
    float64 array of shape (n, 3)
        Linear light; may exceed 1.
    """
    key = np.array(light.toward) / np.linalg.norm(light.toward)
    fill = np.array([-key[0], 0.1, 0.9]) / np.linalg.norm([-key[0], 0.1, 0.9])
    sky = 0.5 + 0.5 * normal[:, 1:2]
    diffuse = 0.80 * _wrapped(normal @ key, surface.wrap)
    diffuse = diffuse + 0.16 * _wrapped(normal @ fill, surface.wrap) + 0.05 + 0.12 * sky
    half = (key + EYE) / np.linalg.norm(key + EYE)
    shine = np.clip(normal @ half, 0, 1) ** surface.sharpness
    # Skin reflects more at grazing angles (Schlick's approximation of Fresnel's equations).
    grazing = 0.25 + 0.75 * (1 - np.clip(normal @ EYE, 0, 1)) ** 5
    highlight = surface.gloss * gloss * shine * (0.75 + grazing)
    colour: Points = albedo * diffuse + np.asarray(highlight)[:, None]
    return colour


def _wrapped(cosine: NDArray[np.float64], wrap: NDArray[np.float64]) -> Points:
    return np.clip((cosine[:, None] + wrap) / (1 + wrap), 0, None) ** 1.2


def to_linear(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light of sRGB values from 0 to 1 (gamma 2.2)."""
    return np.clip(colour, 0, 1) ** 2.2


def to_bytes(colour: Points) -> NDArray[np.uint8]:
    """8-bit sRGB of linear light, with a soft shoulder instead of clipped highlights."""
    soft = np.where(colour > 0.75, 0.75 + 0.25 * np.tanh((colour - 0.75) / 0.25), colour)
    return np.round(255 * np.clip(soft, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def occlusion(depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much light reaches each pixel past what stands in front of it nearby.

    Parameters
    ----------
    depth : float64 array of shape (size, size)
        Half image widths; infinite for the background.

    Returns
    -------
    float64 array of shape (size, size)
        1 in the open, less in hollows and below overhangs.

    References
    ----------
    Luft, Colditz & Deussen (2006), ACM Transactions on Graphics 25, 1206-1213: a pixel is dark
    by how far it lies behind the blurred depth.
    """
    size = len(depth)
    drawn = np.isfinite(depth)
    far = np.max(depth[drawn], initial=0.0)
    flat = np.where(drawn, depth, far)
    light = np.ones_like(depth)
    for width, strength, limit in ((0.012, 6.0, 0.45), (0.045, 1.6, 0.4)):
        behind = flat - gaussian_filter(flat, width * size, mode="nearest")
        light *= 1 - np.clip(strength * np.clip(behind, 0, None), 0, limit)
    return np.where(drawn, light, 1.0)

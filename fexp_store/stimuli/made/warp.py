"""Warping photographs by their landmarks, and the mean of two warped photographs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import Delaunay

Points = NDArray[np.float64]
Image = NDArray[np.uint8]

_ON_EDGE = 1e-9


def with_border(points: Points, width: int, height: int) -> Points:
    """Add the corners of an image and the middles of its sides, which no morph moves.

    Returns
    -------
    float64 array of shape (points + 8, 2)
    """
    right, bottom = width - 1.0, height - 1.0
    border = [(x, y) for x in (0, right / 2, right) for y in (0, bottom / 2, bottom)]
    border.remove((right / 2, bottom / 2))
    return np.concatenate([points, border])


def morph(
    first: Image, second: Image, from_points: Points, to_points: Points, level: float
) -> Image:
    """Warp two photographs to the shape in between and dissolve one into the other.

    The triangles are those of the mean shape at every level, so that nothing jumps from one level
    to the next.

    Parameters
    ----------
    first, second : uint8 arrays of shape (height, width, 3)
    from_points, to_points : float64 arrays of shape (points, 2)
        The same landmarks in both, column and row in pixels.
    level : float
        0 is the first photograph, 1 the second.

    Returns
    -------
    uint8 array of shape (height, width, 3)

    References
    ----------
    Wolberg, G. (1990). Digital Image Warping, chapter 7 (piecewise affine mapping).
    """
    height, width = first.shape[:2]
    start, end = (with_border(points, width, height) for points in (from_points, to_points))
    triangles = Delaunay((start + end) / 2).simplices
    shape = (1 - level) * start + level * end
    parts = [
        weight * sample(picture, source_of(shape, points, triangles, width, height))
        for picture, points, weight in ((first, start, 1 - level), (second, end, level))
    ]
    blended: Image = np.round(parts[0] + parts[1]).astype(np.uint8)
    return blended


def source_of(
    shape: Points, points: Points, triangles: NDArray[np.int32], width: int, height: int
) -> Points:
    """Where in a photograph each pixel of the warped photograph comes from.

    Parameters
    ----------
    shape, points : float64 arrays of shape (points, 2)
        The same points in the warped photograph and in the photograph.
    triangles : int array of shape (triangles, 3)
        Rows of the two.

    Returns
    -------
    float64 array of shape (height, width, 2)
        Column and row in the photograph.
    """
    columns, rows = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    found = np.stack([columns, rows], axis=-1)
    for corners in triangles:
        to, come = shape[corners], points[corners]
        edges = np.array([to[1] - to[0], to[2] - to[0]])
        if abs(np.linalg.det(edges)) < _ON_EDGE:  # a closed mouth: no pixel is inside
            continue
        low = np.maximum(np.floor(to.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(to.max(axis=0)).astype(int) + 1, (width, height))
        across, down = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
        share = (np.stack([across, down], axis=-1) - to[0]) @ np.linalg.inv(edges)
        inside = (share.min(axis=-1) >= -_ON_EDGE) & (share.sum(axis=-1) <= 1 + _ON_EDGE)
        place = share[inside] @ np.array([come[1] - come[0], come[2] - come[0]]) + come[0]
        found[down[inside], across[inside]] = place
    return found


def sample(picture: Image, place: Points) -> NDArray[np.float64]:
    """Interpolate a picture bilinearly.

    Parameters
    ----------
    place : float64 array of shape (height, width, 2)
        Column and row of the picture for each pixel; beyond its edge, the edge goes on.

    Returns
    -------
    float64 array of shape (height, width, 3)
    """
    coordinates = [place[..., 1], place[..., 0]]
    channels = [
        map_coordinates(picture[..., channel].astype(float), coordinates, order=1, mode="nearest")
        for channel in range(3)
    ]
    return np.stack(channels, axis=-1)


def similarity(picture: Image, matrix: Points, shift: Points, side: int) -> Image:
    """Turn, scale and shift a picture into a square of some side.

    Parameters
    ----------
    matrix : float64 array of shape (2, 2)
    shift : float64 array of shape (2,)
        A pixel (column, row) of the picture goes to ``matrix @ pixel + shift``.
    side : int
        Pixels.

    Returns
    -------
    uint8 array of shape (side, side, 3)
        What the picture does not reach repeats its edge.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix))))
    blur = max(0.0, (1 / scale - 1) / 2)  # against aliasing, when the picture shrinks
    smooth = gaussian_filter(picture.astype(float), (blur, blur, 0)) if blur else picture
    columns, rows = np.meshgrid(np.arange(side, dtype=float), np.arange(side, dtype=float))
    place = (np.stack([columns, rows], axis=-1) - shift) @ np.linalg.inv(matrix).T
    turned: Image = np.round(sample(np.asarray(smooth), place)).clip(0, 255).astype(np.uint8)
    return turned

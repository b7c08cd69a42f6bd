"""The 68 facial landmarks: fixed vertices of the head, and their place in an image."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from fexp_store.faces.head_mesh import Points, head_mesh

# Control points of the base mesh, in the order of the iBUG 300-W scheme that dlib also uses:
# the midline, and the subject's left side from which the right one is mirrored.
MIDLINE = {
    8: 5225,
    27: 135,
    28: 164,
    29: 291,
    30: 5054,
    33: 343,
    51: 466,
    57: 496,
    62: 474,
    66: 493,
}
LEFT = {
    (0, 16): 12025, (1, 15): 12011, (2, 14): 7571, (3, 13): 7597,
    (4, 12): 7460, (5, 11): 10364, (6, 10): 7622, (7, 9): 11898,
    (21, 22): 6983, (20, 23): 6980, (19, 24): 6979, (18, 25): 6981, (17, 26): 7024,
    (32, 34): 7077, (31, 35): 7121,
    (39, 42): 11487, (38, 43): 11483, (37, 44): 11466,
    (36, 45): 11473, (41, 46): 11478, (40, 47): 11480,
    (50, 52): 7216, (49, 53): 7207, (48, 54): 7182, (59, 55): 7166, (58, 56): 7235,
    (60, 64): 7203, (61, 63): 7226, (67, 65): 7236,
}  # fmt: skip

N_LANDMARKS = 68


@cache
def landmark_rows() -> NDArray[np.int64]:
    """Row of the fine skin of each landmark, int64 array of shape (68,)."""
    mesh = head_mesh()
    points = mesh.base[mesh.skin]
    tree = cKDTree(points)
    rows = np.full(N_LANDMARKS, -1, dtype=np.int64)
    for place, vertex in MIDLINE.items():
        rows[place] = mesh.row(vertex)
    for (right, left), vertex in LEFT.items():
        rows[left] = mesh.row(vertex)
        rows[right] = tree.query(mesh.base[vertex] * [-1, 1, 1])[1]
    return rows


def project(points: Points, distance: float, size: int) -> Points:
    """Where points in front of the camera fall in the image.

    Parameters
    ----------
    points : float64 array of shape (n, 3)
        In half image widths from the centre of the image plane; y up, z towards the camera.
    distance : float
        Of the camera from the image plane, in half image widths.
    size : int
        Width and height of the image, pixels.

    Returns
    -------
    float64 array of shape (n, 2)
        Column and row in pixels; (0, 0) is the centre of the upper left pixel.
    """
    scale = distance / (distance - points[:, 2])
    across = 1 + points[:, 0] * scale
    down = 1 - points[:, 1] * scale
    return np.stack([across, down], axis=1) * (size / 2) - 0.5

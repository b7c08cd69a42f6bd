"""Files of landmarks: one CSV table for a set, or a webmorph template (.tem) for each image."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.given import read_csv, read_text

Points = NDArray[np.float64]

N_CSV = 68
_WHAT = "The landmarks file"
_COLUMNS = {"file": pl.String, "point": pl.Int32, "x": pl.Float64, "y": pl.Float64}


def read_landmarks(path: Path) -> dict[str, Points]:
    """Read a CSV file, or the webmorph templates of a directory; see the two below."""
    return read_templates(path) if path.is_dir() else read_landmark_file(path)


def content_sha256(path: Path) -> str:
    """Return the hash of the landmarks that a file or directory holds, however it is called."""
    digest = sha256()
    for name, points in sorted(read_landmarks(path).items()):
        digest.update(f"{name}\0{points.shape}\0".encode() + points.astype("<f8").tobytes())
    return digest.hexdigest()


def read_landmark_file(path: Path) -> dict[str, Points]:
    """Read a CSV file of landmarks.

    Parameters
    ----------
    path : Path
        Columns file (as in the set, or the name alone), point (0 to 67, in the order of iBUG
        300-W), x and y (column and row in pixels, 0 in the middle of the upper left pixel).

    Returns
    -------
    dict of str to float64 array of shape (68, 2)
        By file.

    Raises
    ------
    BadInput
        If it cannot be read, or an image has not each of the 68 points once.
    """
    rows = read_csv(path, _WHAT, infer_schema=False)
    try:
        rows = rows.select(pl.col(name).str.strip_chars().cast(t) for name, t in _COLUMNS.items())
    except pl.exceptions.ColumnNotFoundError:
        raise BadInput(f"{_WHAT} {path} needs the columns file, point, x, y.") from None
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0].removesuffix(".")
        raise BadInput(f"{_WHAT} {path} cannot be read: {reason}.") from None
    found = {}
    for (file,), part in rows.sort("point").partition_by("file", as_dict=True).items():
        if part["point"].to_list() != list(range(N_CSV)):
            raise BadInput(
                f"{_WHAT} {path} has {part.height} points for {file}; "
                f"it needs each of the {N_CSV} points 0 to {N_CSV - 1} once."
            )
        found[str(file)] = _checked(part.select("x", "y").to_numpy(), f"{path}, {file}")
    return found


def read_templates(directory: Path) -> dict[str, Points]:
    """Read the webmorph templates (``.tem``) of a directory, at any depth.

    Returns
    -------
    dict of str to float64 array of shape (points, 2)
        By path without ``.tem``, relative to the directory, and by name where that is unique.

    Raises
    ------
    BadInput
        If there are none, or one does not hold the number of points that it announces.
    """
    paths = sorted(directory.rglob("*.tem"))
    if not paths:
        raise BadInput(f"The directory {directory} has no .tem files.")
    read = {path: _template(path) for path in paths}
    names = [path.stem for path in paths]
    by_name = {path.stem: points for path, points in read.items() if names.count(path.stem) == 1}
    return by_name | {
        str(path.relative_to(directory).with_suffix("")): points for path, points in read.items()
    }


def _template(path: Path) -> Points:
    lines = read_text(path, "The template").split("\n")
    try:
        announced = int(lines[0])
        pairs = [[float(value) for value in line.split()] for line in lines[1 : announced + 1]]
        points = np.array(pairs, dtype=np.float64).reshape(announced, 2)
    except ValueError:
        raise BadInput(
            f"The template {path} is not a number of points and then a column and row for each."
        ) from None
    return _checked(points, str(path))


def _checked(points: Points, name: str) -> Points:
    if not np.isfinite(points).all():
        raise BadInput(f"A landmark of {name} is no finite number.")
    return points

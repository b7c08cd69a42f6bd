"""Landmarks of images: the warehouse's own, and those that CSV and webmorph files bring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.errors import BadInput
from fexp_store.stimuli.landmarks.files import read_landmarks
from fexp_store.warehouse import Warehouse, tables

Points = NDArray[np.float64]

EYES = {
    68: ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)),
    189: ((0,), (1,)),
}
"""Points around, or in the middle of, the eye on the left and that on the right of the image."""


def store(wh: Warehouse, landmarks: Mapping[str, Points]) -> None:
    """Store landmarks of images.

    Parameters
    ----------
    landmarks : mapping of str to float64 array of shape (points, 2)
        By image_sha256: column and row in pixels.
    """
    frames = [
        pl.DataFrame(
            {
                "image_sha256": [image] * len(points),
                "point": np.arange(len(points), dtype=np.int32),
                "x": points[:, 0],
                "y": points[:, 1],
            }
        )
        for image, points in landmarks.items()
    ]
    if frames:
        tables.append(wh.storage, "landmarks", pl.concat(frames))


def landmarks_of(wh: Warehouse, rows: pl.DataFrame, given: Path | None) -> dict[str, Points]:
    """Find the landmarks of every image of a set.

    Parameters
    ----------
    rows : DataFrame
        What `fexp_store.stimuli.sets.read_set` returned.
    given : Path, optional
        A CSV file, or a directory of webmorph's ``.tem`` files; by default what the warehouse has.

    Returns
    -------
    dict of str to float64 array of shape (points, 2)
        By image_sha256; all of one number of points.

    Raises
    ------
    BadInput
        If an image has none, or the number of points is not one that is understood.
    """
    found = _stored(wh, rows["stimulus_set"][0]) if given is None else _given(rows, given)
    lacking = rows.filter(~pl.col("image_sha256").is_in(list(found)))
    if not lacking.is_empty():
        name = lacking["file"][0] or f"stimulus {lacking['stimulus_id'][0]}"
        where = "the warehouse" if given is None else str(given)
        raise BadInput(
            f"There are no landmarks of {name} in {where} ({lacking.height} of {rows.height} "
            "images have none); give a CSV file or a directory of .tem files with --landmarks."
        )
    counts = {len(points) for points in found.values()}
    if len(counts) != 1 or not counts <= set(EYES):
        listed = " and ".join(map(str, sorted(counts)))
        raise BadInput(
            f"The images of {rows['stimulus_set'][0]} have {listed} landmarks; all must have 68 "
            "(iBUG 300-W) or all 189 (webmorph's template)."
        )
    return found


def _stored(wh: Warehouse, name: str) -> dict[str, Points]:
    frame = wh.frame(schemas.sql("queries")["landmarks_of_set"], stimulus_set=name)
    images = frame.partition_by("image_sha256", as_dict=True, maintain_order=True)
    return {str(key[0]): part.select("x", "y").to_numpy() for key, part in images.items()}


def _given(rows: pl.DataFrame, path: Path) -> dict[str, Points]:
    named = read_landmarks(path)
    found = {}
    for image, file in rows.select("image_sha256", "file").iter_rows():
        if file is None:
            continue
        key = str(Path(file).with_suffix("")) if path.is_dir() else file
        points = named.get(key, named.get(Path(key).name))
        if points is not None:
            found[image] = points
    return found

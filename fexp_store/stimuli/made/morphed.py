"""Morph continua as new stimulus sets, of rendered people and of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from fexp_store.continua import Continuum, read_continua
from fexp_store.errors import BadInput
from fexp_store.progress import Started
from fexp_store.stimuli import images
from fexp_store.stimuli.landmarks import store
from fexp_store.stimuli.made import warp
from fexp_store.stimuli.made.rendered import (
    ATTRIBUTE,
    Rendered,
    Sitting,
    render_weights,
    renderer,
)
from fexp_store.stimuli.made.workers import spread
from fexp_store.stimuli.recipe import Morphing
from fexp_store.stimuli.sets import read_set, stimulus
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.storage import Storage

Points = NDArray[np.float64]


@dataclass(frozen=True)
class _Pair:
    """Two images of a person (rows of their set) and the levels strictly between them.

    Without points, they are rendered ones and so are those in between.
    """

    first: dict[str, Any]
    second: dict[str, Any]
    levels: tuple[float, ...]
    points: tuple[Points, ...]


def warps(rows: pl.DataFrame, recipe: Morphing) -> bool:
    """Whether images of a set are warped: photographs, or rendered faces with jitter.

    Else they are rendered anew with interpolated weights.
    """
    asked = recipe.warp or recipe.landmarks is not None
    return asked or not all(map(_by_weights, rows["attributes"]))


def morph(wh: Warehouse, recipe: Morphing, started: Started) -> list[dict[str, Any]]:
    """Morph between expressions of each person of a set; return the rows of the new one.

    The two ends of a continuum are the images of the set themselves.

    Raises
    ------
    BadInput
        If nobody in the set has the expressions, a cell has two images, the images of a person
        differ in size, or landmarks are missing.
    """
    continua = read_continua(recipe.continua)
    rows = _complete(read_set(wh, recipe.of), continua, recipe.identities)
    warped = warps(rows, recipe)
    points = store.landmarks_of(wh, rows, recipe.landmarks) if warped else {}
    steps = tuple(step / (recipe.levels - 1) for step in range(recipe.levels))
    ends = _ends(rows, continua)
    how = "warped by landmarks" if warped else f"rendered with {' '.join(renderer().values())}"
    source = (
        f"morphs of {recipe.of} (set {rows['set_sha256'][0]}), {how}: "
        f"{', '.join(map('-'.join, continua))}; "
        f"{recipe.levels} levels, {len(ends) // len(continua)} identities"
    )
    pairs = [
        _Pair(*pair, steps[1:-1], tuple(points[end["image_sha256"]] for end in pair if warped))
        for pair in ends
    ]
    advance = started(len(ends) * recipe.levels)
    roots = images.roots(wh.storage)
    morphs: list[dict[str, Any]] = []
    marks: dict[str, Points] = {}
    between = partial(_between, wh.storage, roots)
    with spread(between, pairs) as morphed:
        for pair, faces in zip(pairs, morphed, strict=True):
            digests = [images.keep(wh.storage, picture) for picture, _points in faces]
            marks |= {digest: face[1] for digest, face in zip(digests, faces, strict=True)}
            morphs += _rows(pair, steps, digests, source, len(morphs))
            advance(recipe.levels)
    store.store(wh, marks)
    for row in rows.iter_rows(named=True):  # the ends stay readable without the source set's root
        images.keep(wh.storage, images.read_registered(wh.storage, row, roots))
    return morphs


def _complete(
    rows: pl.DataFrame, continua: Sequence[Continuum], identities: int | None
) -> pl.DataFrame:
    """Keep the first people who have every expression of the continua, and those expressions."""
    wanted = {expression for continuum in continua for expression in continuum}
    rows = rows.filter(pl.col("expression").is_in(wanted))
    doubles = rows.filter(pl.struct("identity", "expression").is_duplicated())
    if not doubles.is_empty():
        raise BadInput(
            f"There are several images with {doubles['expression'][0]} of "
            f"{doubles['identity'][0]}; a morph needs one."
        )
    has_all = pl.len().over("identity") == len(wanted)
    people = rows.filter(has_all)["identity"].unique(maintain_order=True)
    if people.is_empty():
        raise BadInput(f"Nobody in the set has all of {', '.join(sorted(wanted))}.")
    if identities is not None and identities > len(people):
        raise BadInput(
            f"Only {len(people)} identities have all of {', '.join(sorted(wanted))}; "
            f"{identities} were asked for."
        )
    return rows.filter(pl.col("identity").is_in(people[:identities].implode()))


def _by_weights(attributes: dict[str, str] | None) -> bool:
    """Whether an image was rendered here, without the jitter that differs between images."""
    written = (attributes or {}).get(ATTRIBUTE)
    return written is not None and Sitting.from_json(written).look.jitter == 0


def _ends(
    rows: pl.DataFrame, continua: Sequence[Continuum]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    cells = {(r["identity"], r["expression"]): r for r in rows.iter_rows(named=True)}
    people = rows["identity"].unique(maintain_order=True)
    return [(cells[who, one], cells[who, other]) for who in people for one, other in continua]


def _between(storage: Storage, roots: dict[str, str], pair: _Pair) -> list[Rendered]:
    """Make the images strictly between two, with their landmarks."""
    if not pair.points:
        sitting = Sitting.from_json(pair.first["attributes"][ATTRIBUTE])
        ends = (pair.first["expression"], pair.second["expression"])
        return render_weights(sitting, [_weights(sitting, ends, t) for t in pair.levels])
    first, second = (images.pixels(storage, row, roots) for row in (pair.first, pair.second))
    if first.shape != second.shape:
        raise BadInput(
            f"The images of {pair.first['identity']} differ in size; make them alike first: "
            "fexp stimuli prepare"
        )
    start, end = pair.points
    made = []
    for t in pair.levels:
        picture = Image.fromarray(warp.morph(first, second, start, end, t))
        made.append((images.png_of(picture), (1 - t) * start + t * end))
    return made


def _weights(sitting: Sitting, continuum: Continuum, level: float) -> dict[str, float]:
    one, other = (sitting.weights(expression) for expression in continuum)
    return {
        unit: (1 - level) * one.get(unit, 0.0) + level * other.get(unit, 0.0)
        for unit in {**one, **other}
    }


def _rows(
    pair: _Pair, steps: Sequence[float], digests: list[str], source: str, number: int
) -> list[dict[str, Any]]:
    shas = [pair.first["image_sha256"], *digests, pair.second["image_sha256"]]
    ends = (pair.first["expression"], pair.second["expression"])
    return [
        stimulus(number + i, digest, pair.first["identity"], source, morph=(*ends, level))
        for i, (digest, level) in enumerate(zip(shas, steps, strict=True))
    ]

"""Stimulus sets of rendered people: exact identity x expression designs under an open licence."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fexp_store.errors import BadInput, Conflict, FexpError
from fexp_store.stimuli import images
from fexp_store.stimuli.expressions import BASIC, NEUTRAL
from fexp_store.stimuli.faces import person, recipes
from fexp_store.stimuli.render import Look, render_faces
from fexp_store.stimuli.sets import register
from fexp_store.warehouse import Warehouse, tables
from fexp_store.warehouse.names import check_name


def render_set(
    wh: Warehouse,
    name: str,
    identities: int,
    seed: int,
    *,
    neutral: bool = False,
    look: Look | None = None,
    started: Callable[[int], Callable[[int], None]] = lambda _total: lambda _n: None,
) -> int:
    """Render people with the basic expressions and register the images as a set.

    The images are kept in the warehouse's ``images/``. A set that was rendered before with the
    same parameters is left as it is.

    Parameters
    ----------
    identities : int
        Number of people.
    seed : int
        Of the people; the first people of a larger set with this seed are the same.
    neutral : bool
        Whether to render neutral faces too.
    look : Look, optional
    started : callable, optional
        Called with the number of images; returns a function called with the number rendered.

    Returns
    -------
    int
        Number of images in the set.

    Raises
    ------
    Conflict
        If the name is taken by another set.
    BadInput
        If the extra ``stimuli`` is not installed.
    """
    check_name("stimulus set", name)
    expressions = (*BASIC, NEUTRAL) if neutral else BASIC
    source = _source(identities, seed, look or Look())
    count = identities * len(expressions)
    if _rendered_before(wh, name, source, count):
        return count
    advance = started(count)
    rows: list[dict[str, Any]] = []
    for index, pictures in enumerate(_rendered(identities, seed, expressions, look or Look())):
        for expression, picture in zip(expressions, pictures, strict=True):
            digest = images.keep(wh.root, picture)
            rows.append(_row(len(rows), digest, f"{seed}-{index:03d}", expression, source))
        advance(len(pictures))
    register(wh, name, rows)
    return count


def _rendered(
    identities: int, seed: int, expressions: tuple[str, ...], look: Look
) -> Iterator[list[bytes]]:
    """Render one person after the other, in processes of their own.

    VTK and torch each bring a copy of LLVM; in one process, whichever comes second can crash.
    """
    workers = min(identities, os.cpu_count() or 1)
    render = partial(_render_person, seed, expressions, look)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(render, range(identities))
        except BrokenProcessPool:
            raise FexpError(
                "The renderer (VTK) crashed; see whether pyvista can draw on this machine: "
                "python -c 'import pyvista; pyvista.Sphere().plot(off_screen=True)'"
            ) from None


def _render_person(seed: int, expressions: tuple[str, ...], look: Look, index: int) -> list[bytes]:
    """Return one PNG for each expression of one person."""
    who = person(seed, index)
    weights = recipes() | {NEUTRAL: {}}
    faces = render_faces([who] * len(expressions), [weights[e] for e in expressions], look)
    return [_png(pixels) for pixels, _landmarks in faces]


def _row(
    number: int, image_sha256: str, identity: str, expression: str, source: str
) -> dict[str, Any]:
    return {
        "stimulus_id": number,
        "image_sha256": image_sha256,
        "file": None,
        "identity": identity,
        "expression": expression,
        "source": source,
        "morph_from": None,
        "morph_to": None,
        "morph_level": None,
        "attributes": {},
    }


def _source(identities: int, seed: int, look: Look) -> str:
    try:
        renderer = f"anny {version('anny')}"
    except PackageNotFoundError:
        raise BadInput(
            "Rendering faces needs the extra 'stimuli': pip install 'fexp-store[stimuli]'"
        ) from None
    return f"rendered with {renderer}: {identities} identities, seed {seed}, {look}"


def _rendered_before(wh: Warehouse, name: str, source: str, count: int) -> bool:
    stored = tables.read(wh.root, "stimuli").filter(stimulus_set=name)
    if stored.is_empty():
        return False
    if stored["source"][0] != source or stored.height != count:
        raise Conflict(
            f"A stimulus set {name} that was not rendered with these parameters is registered "
            "already; sets never change, so choose another name."
        )
    return True


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()

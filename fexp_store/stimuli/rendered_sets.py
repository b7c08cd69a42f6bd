"""Stimulus sets of rendered people: exact identity x expression designs under an open licence."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fexp_store.errors import BadInput, Conflict
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
    people = [person(seed, index) for index in range(identities)]
    weights = recipes() | {NEUTRAL: {}}
    cells = [(who, expression) for who in people for expression in expressions]
    advance = started(count)
    faces = render_faces([who for who, _ in cells], [weights[e] for _, e in cells], look)
    rows = []
    for number, ((who, expression), (pixels, _landmarks)) in enumerate(
        zip(cells, faces, strict=True)
    ):
        rows.append(
            {
                "stimulus_id": number,
                "image_sha256": images.keep(wh.root, _png(pixels)),
                "file": None,
                "identity": f"{seed}-{who.index:03d}",
                "expression": expression,
                "source": source,
                "morph_from": None,
                "morph_to": None,
                "morph_level": None,
                "attributes": {},
            }
        )
        advance(1)
    register(wh, name, rows)
    return count


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

"""Stimulus sets of rendered people: exact identity x expression designs under an open licence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.expressions import BASIC, NEUTRAL
from fexp_store.faces.person import person, recipes
from fexp_store.faces.render import Look, render_faces
from fexp_store.progress import Started, silent
from fexp_store.stimuli import images
from fexp_store.stimuli.landmarks import store as landmark_store
from fexp_store.stimuli.made.workers import png, spread
from fexp_store.stimuli.sets import made_before, register, stimulus
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.names import check_name

ATTRIBUTE = "rendered"
"""Attribute of a rendered image: JSON of what it was rendered from."""

Rendered = tuple[bytes, NDArray[np.float64]]
"""A PNG, and the landmarks in it."""


@dataclass(frozen=True)
class Sitting:
    """One rendered person with some expression strength and look.

    Attributes
    ----------
    seed, index : int
        Of the person, see ``faces.person``.
    intensity : float
        What the weights of the recipes are multiplied by.
    look : Look
    """

    seed: int
    index: int
    intensity: float
    look: Look

    def weights(self, expression: str) -> dict[str, float]:
        """Return the ARKit units of an expression and their weights."""
        return {unit: self.intensity * w for unit, w in recipes()[expression].items()}

    def to_json(self) -> str:
        """Write it as the attribute of an image."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Sitting:
        """Read the attribute of an image."""
        values: dict[str, Any] = json.loads(text)
        return cls(**values | {"look": Look(**values["look"])})


def render_set(
    wh: Warehouse,
    name: str,
    identities: int,
    seed: int,
    *,
    neutral: bool = False,
    intensity: float = 1.0,
    look: Look | None = None,
    started: Started = silent,
) -> int:
    """Render people with the basic expressions and register the images as a set.

    The images are kept in the warehouse's ``images/`` and their 68 landmarks in its table
    ``landmarks``. A set that was rendered before with the same parameters is left as it is.

    Parameters
    ----------
    identities : int
        Number of people.
    seed : int
        Of the people; the first people of a larger set with this seed are the same.
    neutral : bool
        Whether to render neutral faces too.
    intensity : float
        Strength of the expressions, above 0 and at most 1.5; 1 is the recipe.
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
        If a parameter is out of range, or the extra ``stimuli`` is not installed.
    """
    check_name("stimulus set", name)
    if not 0 < intensity <= 1.5:
        raise BadInput(f"The intensity must be above 0 and at most 1.5: got {intensity}")
    look = look or Look()
    expressions = (*BASIC, NEUTRAL) if neutral else BASIC
    source = (
        f"rendered with {renderer()}: {identities} identities, seed {seed}, "
        f"intensity {intensity:g}, {look}"
    )
    count = identities * len(expressions)
    if made_before(wh, name, source, count):
        return count
    advance = started(count)
    rows: list[dict[str, Any]] = []
    landmarks: dict[str, NDArray[np.float64]] = {}
    sittings = [Sitting(seed, index, intensity, look) for index in range(identities)]
    work = partial(render_expressions, expressions)
    for sitting, faces in zip(sittings, spread(work, sittings), strict=True):
        for expression, (picture, points) in zip(expressions, faces, strict=True):
            digest = images.keep(wh.storage, picture)
            landmarks[digest] = points
            rows.append(
                stimulus(
                    len(rows),
                    digest,
                    f"{seed}-{sitting.index:03d}",
                    source,
                    expression=expression,
                    attributes={ATTRIBUTE: sitting.to_json()},
                )
            )
        advance(len(faces))
    landmark_store.store(wh, landmarks)
    register(wh, name, rows)
    return count


def render_expressions(expressions: tuple[str, ...], sitting: Sitting) -> list[Rendered]:
    """Render one image for each expression of one person."""
    return render_weights(sitting, [sitting.weights(e) for e in expressions])


def render_weights(sitting: Sitting, weights: list[Mapping[str, float]]) -> list[Rendered]:
    """Render one image of one person for each mapping of ARKit units to weights."""
    who = person(sitting.seed, sitting.index)
    faces = render_faces([who] * len(weights), weights, sitting.look)
    return [(png(pixels), points) for pixels, points in faces]


def renderer() -> str:
    """Name the renderer and its version.

    Raises
    ------
    BadInput
        If the extra ``stimuli`` is not installed.
    """
    try:
        return f"anny {version('anny')}"
    except PackageNotFoundError:
        raise BadInput(
            "Rendering faces needs the extra 'stimuli': pip install 'fexp-store[stimuli]'"
        ) from None

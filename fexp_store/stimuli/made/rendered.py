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
from PIL import Image

from fexp_store.errors import BadInput, Damaged
from fexp_store.expressions import BASIC, NEUTRAL
from fexp_store.faces.look import Look
from fexp_store.faces.person import person, recipes
from fexp_store.faces.render import render_faces
from fexp_store.progress import Started
from fexp_store.stimuli import images
from fexp_store.stimuli.landmarks import store
from fexp_store.stimuli.made.workers import spread
from fexp_store.stimuli.recipe import Rendering
from fexp_store.stimuli.sets import stimulus
from fexp_store.warehouse import Warehouse

ATTRIBUTE = "rendered"
"""Attribute of a rendered image: JSON of what it was rendered from."""

Rendered = tuple[bytes, NDArray[np.float64]]
"""A PNG, and the landmarks in it."""

_LOOK = ("size", "greyscale", "oval_mask", "jitter", "seed")


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
        """Read the attribute of an image; Damaged if it is something else."""
        try:
            values: dict[str, Any] = json.loads(text)
            return cls(**values | {"look": Look(**values["look"])})
        except (RecursionError, TypeError, ValueError, LookupError, BadInput) as error:
            raise Damaged(
                f"What is stored of how an image was rendered cannot be read ({error}); "
                "restore the table stimuli from a copy."
            ) from None


def render(wh: Warehouse, recipe: Rendering, started: Started) -> list[dict[str, Any]]:
    """Render people with the basic expressions; return the rows of the set.

    The images are kept in the warehouse's ``images/`` and their 68 landmarks in its table
    ``landmarks``. The first people of a larger set of one seed are the same.

    Raises
    ------
    BadInput
        If the extra ``stimuli`` is not installed.
    """
    expressions = (*BASIC, NEUTRAL) if recipe.neutral else BASIC
    look = Look(**{key: getattr(recipe, key) for key in _LOOK})
    source = (
        f"rendered with {' '.join(renderer().values())}: {recipe.identities} identities, "
        f"seed {recipe.seed}, intensity {recipe.intensity:g}, {look}"
    )
    advance = started(recipe.identities * len(expressions))
    rows: list[dict[str, Any]] = []
    landmarks: dict[str, NDArray[np.float64]] = {}
    sittings = [Sitting(recipe.seed, i, recipe.intensity, look) for i in range(recipe.identities)]
    work = partial(render_expressions, expressions)
    with spread(work, sittings) as rendered:
        for sitting, faces in zip(sittings, rendered, strict=True):
            who, attributes = f"{recipe.seed}-{sitting.index:03d}", {ATTRIBUTE: sitting.to_json()}
            for expression, (picture, points) in zip(expressions, faces, strict=True):
                digest = images.keep(wh.storage, picture)
                landmarks[digest] = points
                row = stimulus(len(rows), digest, who, source, expression=expression)
                rows.append(row | {"attributes": attributes})
            advance(len(faces))
    store.store(wh, landmarks)
    return rows


def render_expressions(expressions: tuple[str, ...], sitting: Sitting) -> list[Rendered]:
    """Render one image for each expression of one person."""
    return render_weights(sitting, [sitting.weights(e) for e in expressions])


def render_weights(sitting: Sitting, weights: list[Mapping[str, float]]) -> list[Rendered]:
    """Render one image of one person for each mapping of ARKit units to weights."""
    who = person(sitting.seed, sitting.index)
    faces = render_faces([who] * len(weights), weights, sitting.look)
    return [(images.png_of(Image.fromarray(pixels)), points) for pixels, points in faces]


def renderer() -> dict[str, str]:
    """Name the renderer and its version.

    Raises
    ------
    BadInput
        If the extra ``stimuli`` is not installed.
    """
    try:
        return {"renderer": "anny", "version": version("anny")}
    except PackageNotFoundError:
        raise BadInput(
            "Rendering faces needs the extra 'stimuli': pip install 'fexp-store[stimuli]'"
        ) from None

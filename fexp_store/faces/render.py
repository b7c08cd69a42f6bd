"""Rendered faces: people with expressions, drawn off-screen without a display."""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.faces.head_mesh import MISSING
from fexp_store.faces.landmarks import project
from fexp_store.faces.look import Look
from fexp_store.faces.oval import oval
from fexp_store.faces.person import Person, unit_target
from fexp_store.faces.scene import build
from fexp_store.faces.shading import Light, occlusion

DISTANCE = 9.0  # of the camera, in half image widths: about 1.2 m, as a portrait is taken

LINEAR = (np.arange(256) / 255) ** 2.2  # linear light of each 8-bit value

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class _Shot:
    """What the jitter decides for one image."""

    light: Light
    turn: NDArray[np.float64]
    gaze: dict[str, float]


def render_faces(
    people: Sequence[Person],
    expressions: Sequence[Mapping[str, float]],
    look: Look | None = None,
) -> Iterator[tuple[Image, NDArray[np.float64]]]:
    """Render one image per person and expression, in pairs.

    Parameters
    ----------
    people : sequence of Person, length n
        Keep images of one person together: what belongs to a person is computed once.
    expressions : sequence of mapping of str to float, length n
        ARKit unit to weight, 0 to 1, for each image; empty is neutral. See ``faces.recipes``. A
        morph is an interpolated mapping.
    look : Look, optional

    Yields
    ------
    image : uint8 array of shape (size, size, 3)
        sRGB.
    landmarks : float64 array of shape (68, 2)
        Column and row in pixels; (0, 0) is the centre of the upper left pixel.

    Raises
    ------
    BadInput
        If the lengths differ, a unit is unknown, or the extra ``stimuli`` is not installed.
    """
    look = look or Look()
    if len(people) != len(expressions):
        raise BadInput(
            f"Give one expression for each person: got {len(people)} people "
            f"and {len(expressions)} expressions"
        )
    for unit, weight in {pair for expression in expressions for pair in expression.items()}:
        unit_target(unit)
        if not math.isfinite(weight):
            raise BadInput(f"The weight of {unit} must be a finite number: got {weight}")
    return _render(people, expressions, look)


def _render(
    people: Sequence[Person], expressions: Sequence[Mapping[str, float]], look: Look
) -> Iterator[tuple[Image, NDArray[np.float64]]]:
    mask = oval(look.size) if look.oval_mask else None
    try:
        from fexp_store.faces.canvas import Canvas
    except ImportError as error:
        raise BadInput(MISSING) from error
    background = 0 if look.oval_mask else look.background
    with Canvas(look.size * look.oversampling, DISTANCE, background) as canvas:
        for who, expression in zip(people, expressions, strict=True):
            shot = _shot(who, expression, look)
            parts, points = build(who, _add(expression, shot.gaze), shot.light, shot.turn)
            image = _develop(*canvas.draw(parts), look, mask)
            yield image, project(points, DISTANCE, look.size)


def _develop(
    fine: Image, depth: NDArray[np.float64], look: Look, mask: NDArray[np.float64] | None
) -> Image:
    """Average the samples of each pixel in linear light; then shade, grey and mask."""
    n = look.oversampling
    samples = LINEAR[fine].reshape(look.size, n, look.size, n, 3)
    picture = samples.mean(axis=(1, 3)) * occlusion(depth[n // 2 :: n, n // 2 :: n])[..., None]
    picture = picture ** (1 / 2.2) * 255
    if look.greyscale:
        picture = np.repeat(picture @ np.array([[0.299], [0.587], [0.114]]), 3, axis=2)
    if mask is not None:
        picture = picture * mask
    image: Image = np.round(picture).astype(np.uint8)
    return image


def _shot(who: Person, expression: Mapping[str, float], look: Look) -> _Shot:
    if look.jitter == 0:
        return _Shot(Light(), np.eye(3), {})
    name = repr(sorted((unit, float(weight)) for unit, weight in expression.items()))
    key = [look.seed, who.seed, who.index, zlib.crc32(name.encode())]
    draw = np.random.Generator(np.random.PCG64(key))
    yaw, pitch, roll = look.jitter * np.radians(draw.normal(0, [6.0, 4.0, 3.0]))
    lamp = np.array(Light().toward) + look.jitter * draw.normal(0, [0.35, 0.25, 0.0])
    aside, up = look.jitter * draw.normal(0, 0.2, 2)
    return _Shot(
        Light((float(lamp[0]), float(lamp[1]), float(lamp[2]))),
        _turn(yaw, pitch, roll),
        _gaze(aside, up),
    )


def _turn(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Rotation matrix of shape (3, 3): about y, then x, then z, radians."""
    cy, sy, cx, sx = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cz, sz = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rotation: NDArray[np.float64] = about_z @ about_x @ about_y
    return rotation


def _gaze(aside: float, up: float) -> dict[str, float]:
    """ARKit units that turn both eyes together; 1 is about 30 degrees."""
    vertical = {"eyeLookUp" if up > 0 else "eyeLookDown": abs(up)}
    left = "eyeLookOutLeft" if aside > 0 else "eyeLookInLeft"
    right = "eyeLookInRight" if aside > 0 else "eyeLookOutRight"
    return vertical | {left: abs(aside), right: abs(aside)}


def _add(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {unit: one.get(unit, 0.0) + other.get(unit, 0.0) for unit in [*one, *other]}

"""Morph continua: which pairs of expressions are morphed into each other."""

from __future__ import annotations

from fexp_store.errors import BadInput
from fexp_store.expressions import check_expression

Continuum = tuple[str, str]
"""Expression at level 0 and expression at level 1."""

PAPER: tuple[Continuum, ...] = (
    ("happiness", "anger"),
    ("happiness", "fear"),
    ("anger", "disgust"),
    ("happiness", "sadness"),
    ("anger", "fear"),
    ("disgust", "fear"),
    ("disgust", "sadness"),
)
"""The seven continua of Zhou et al. (2022), in the order of their figure 3."""


def read_continua(text: str) -> tuple[Continuum, ...]:
    """Read continua such as ``happiness-anger,anger-fear``; ``paper`` stands for `PAPER`.

    Raises
    ------
    BadInput
        If an expression is unknown, or a continuum is no pair of two or is there twice.
    """
    continua: list[Continuum] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if part == "paper":
            continua.extend(PAPER)
            continue
        ends = [check_expression(label.strip()) for label in part.split("-")]
        if len(ends) != 2 or ends[0] == ends[1]:
            raise BadInput(f"{part!r} is no continuum; write it as happiness-anger.")
        continua.append((ends[0], ends[1]))
    if not continua or len(set(continua)) < len(continua):
        raise BadInput(f"{text!r} names no continuum, or one of them twice.")
    return tuple(continua)

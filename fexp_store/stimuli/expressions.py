"""The labels of expressions: six basic ones, and neutral."""

from __future__ import annotations

from fexp_store.errors import BadInput

BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""Ekman's six basic expressions, in alphabetical order."""

NEUTRAL = "neutral"


def check_expression(label: str) -> str:
    """Return the label in lower case if it is a known expression.

    Raises
    ------
    BadInput
        If it is not; the message lists the known ones.
    """
    lowered = label.lower()
    if lowered not in (*BASIC, NEUTRAL):
        known = ", ".join((*BASIC, NEUTRAL))
        raise BadInput(f"{label!r} is not an expression that is known here: use one of {known}.")
    return lowered

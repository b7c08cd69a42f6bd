"""The labels of expressions: six basic ones, and neutral."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from fexp_store.errors import BadInput

BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""Ekman's six basic expressions, in alphabetical order."""

NEUTRAL = "neutral"

ANY_LAYOUT = "any"


@cache
def aliases() -> dict[tuple[str, str], str]:
    """Read ``data/expression_aliases.csv``: what each set calls an expression.

    Returns
    -------
    dict of (str, str) to str
        Layout (or ``any``) and label in lower case, to the expression; the empty string for an
        expression that is neither basic nor neutral.
    """
    text = (files("fexp_store") / "data/expression_aliases.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(row["layout"], row["label"]): row["expression"] for row in rows}


def check_expression(label: str, layout: str = ANY_LAYOUT) -> str:
    """Return the expression that a label or an alias of it means.

    Parameters
    ----------
    label : str
        In any case, for example ``happy``, ``HA`` or, in the layout ``rafdb``, ``4``.
    layout : str
        Whose labels come before the common ones.

    Returns
    -------
    str
        One of `BASIC`, or ``neutral``; the empty string for an expression of the layout that is
        none of these (contempt in RaFD).

    Raises
    ------
    BadInput
        If the label is unknown; the message lists the known expressions.
    """
    known, lowered = aliases(), label.lower()
    for key in ((layout, lowered), (ANY_LAYOUT, lowered)):
        if key in known:
            return known[key]
    listed = ", ".join((*BASIC, NEUTRAL))
    raise BadInput(f"{label!r} is not an expression that is known here: use one of {listed}.")

"""Inputs that families of networks share, which a user can name instead of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fexp_store.errors import BadInput

LIKE: dict[str, dict[str, Any]] = {
    "torchvision": {
        "channels": "RGB",
        "mean": (0.485 * 255, 0.456 * 255, 0.406 * 255),
        "std": (0.229 * 255, 0.224 * 255, 0.225 * 255),
    },
    "caffe": {"channels": "BGR", "mean": (103.939, 116.779, 123.68), "std": (1.0, 1.0, 1.0)},
    "matconvnet": {"channels": "RGB", "mean": (123.68, 116.779, 103.939), "std": (1.0, 1.0, 1.0)},
    "vgg_face": {"channels": "RGB", "mean": (129.1863, 104.7624, 93.594), "std": (1.0, 1.0, 1.0)},
    "keras": {"channels": "RGB", "mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)},
}
"""Inputs that families of networks share; channels are in the order in which they are fed."""


def fields_given(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields of a preprocessing that a user gives, those of a family among them.

    Parameters
    ----------
    given : mapping, optional
        Fields of `Preprocessing`, and ``like``: the name of a family, whose fields the others
        change.

    Raises
    ------
    BadInput
        If there is no such family.
    """
    fields = dict(given or {})
    family = fields.pop("like", None)
    if family is None:
        return fields
    if not isinstance(family, str) or family not in LIKE:
        raise BadInput(f"No family of networks is called {family!r}; known: {', '.join(LIKE)}.")
    return LIKE[family] | fields

"""Which names are allowed: they become directories and SQL values, so they are checked here."""

from __future__ import annotations

import re

from fexp_store.errors import BadInput

_LAYER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can name a network, a stimulus set or a stored query.

    Raises
    ------
    BadInput
        If it has characters other than letters, digits, ``_`` and ``-``, starts with one of the
        last two, or is longer than 64 characters.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot name a {kind}: use letters, digits, _ and -, starting with a letter "
            "or digit, at most 64 characters."
        )
    return name


def check_layer(name: str) -> str:
    """Return `name` if it can name a layer: one that is imported, since others have their names.

    Raises
    ------
    BadInput
        If it has characters other than letters, digits, ``_``, ``-``, ``.`` and ``:``, starts with
        one of these four, or is longer than 64 characters.
    """
    if not _LAYER.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot name a layer: use letters, digits, _, -, . and :, starting with a "
            "letter or digit, at most 64 characters."
        )
    return name

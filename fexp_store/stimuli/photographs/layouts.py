"""How sets of photographs name their files: layouts are rows of ``data/layouts.csv``."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fexp_store.errors import BadInput
from fexp_store.expressions import ANY_LAYOUT

_FIELD = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Layout:
    """How the files of one set are named.

    Attributes
    ----------
    name : str
        Of the layout; also whose labels of expressions are looked up first.
    source : str
        Where images of this layout are said to come from.
    example : str
        A file name that fits.
    file_name : re.Pattern
        What the name must be. Its groups are ``expression`` and the attributes of the image.
    identity : str
        Made of the groups, for example ``{sex}{number}``.
    fixed : tuple of (str, str)
        Attributes that every image of the set has.
    labels_file : str
        File with lines of a file name and a label, for a set that does not name the expression in
        the file name; else empty.
    whole_path : bool
        Whether `file_name` is compared with the path within the directory, not the last part.
    """

    name: str
    source: str
    example: str
    file_name: re.Pattern[str]
    identity: str
    fixed: tuple[tuple[str, str], ...] = ()
    labels_file: str = ""
    whole_path: bool = False

    def fields(self, path: str) -> dict[str, str] | None:
        """Take a relative path apart; None if it does not fit."""
        found = self.file_name.fullmatch(path if self.whole_path else path.rsplit("/", 1)[-1])
        if found is None:
            return None
        values, meaning = found.groupdict(default=""), _values()
        identity = self.identity.format(**{k: v.upper() for k, v in values.items()})
        if self.labels_file:  # the list writes names in one case
            identity = identity.lower()
        named = {k: meaning.get((self.name, k, v.upper()), v) for k, v in values.items()}
        return dict(self.fixed) | named | {"identity": values.get("identity", identity)}


def known_layout(name: str) -> Layout:
    """Return a layout of ``data/layouts.csv``.

    Raises
    ------
    BadInput
        If there is no such layout; the message lists those there are.
    """
    layouts = _layouts()
    if name not in layouts:
        raise BadInput(
            f"There is no layout {name!r}; known: {', '.join(layouts)}. "
            'For other names give --pattern, for example --pattern "{identity}_{expression}.jpg".'
        )
    return layouts[name]


def layout_of_pattern(pattern: str) -> Layout:
    """Read a pattern such as ``{identity}_{expression}.jpg``.

    Parameters
    ----------
    pattern : str
        Names in braces stand for one or more characters other than ``/``; ``identity`` and
        ``expression`` must be among them, any other is an attribute. The rest stands for itself,
        in any case. With a ``/``, it is compared with the path within the directory.

    Raises
    ------
    BadInput
        If a name is missing, is there twice, or is none.
    """
    names = _FIELD.findall(pattern)
    for needed in ("identity", "expression"):
        if needed not in names:
            raise BadInput(
                f"The pattern {pattern!r} has no {{{needed}}}; it needs both, for example "
                '"{identity}_{expression}.jpg".'
            )
    if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise BadInput(
            f"The pattern {pattern!r} has a name in braces twice, or one that is no name."
        )
    parts = _FIELD.split(pattern)
    texts = [
        re.escape(part) if i % 2 == 0 else f"(?P<{part}>[^/]+?)" for i, part in enumerate(parts)
    ]
    expression = re.compile("".join(texts), re.IGNORECASE)
    return Layout(
        ANY_LAYOUT, f"pattern {pattern}", pattern, expression, "", whole_path="/" in pattern
    )


@cache
def _layouts() -> dict[str, Layout]:
    return {row["layout"]: _layout(row) for row in _table("layouts")}


def _layout(row: dict[str, str]) -> Layout:
    fixed = [pair.split("=") for pair in filter(None, row["fixed"].split(";"))]
    return Layout(
        name=row["layout"],
        source=row["layout"],
        example=row["example"],
        file_name=re.compile(row["file_name"], re.IGNORECASE),
        identity=row["identity"],
        fixed=tuple((key, value) for key, value in fixed),
        labels_file=row["labels"],
    )


@cache
def _values() -> dict[tuple[str, str, str], str]:
    rows = _table("layout_values")
    return {(r["layout"], r["field"], r["written"].upper()): r["value"] for r in rows}


def _table(name: str) -> list[dict[str, str]]:
    text = (files("fexp_store") / f"data/{name}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))

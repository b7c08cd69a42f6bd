"""The photographs in a directory: which files fit a layout, and what their names say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fexp_store.errors import BadInput
from fexp_store.expressions import check_expression
from fexp_store.given import TABLE_LIMIT, read_text
from fexp_store.stimuli.photographs.layouts import Layout

_NAMED = 3  # files that a message names


@dataclass(frozen=True)
class Photograph:
    """An image file and what is known of it.

    Attributes
    ----------
    file : str
        Relative to the set's image root, with ``/``.
    identity, expression : str
    attributes : dict of str to str
        Everything else.
    """

    file: str
    identity: str
    expression: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Found:
    """What a directory holds.

    Attributes
    ----------
    photographs : list of Photograph
        In the order of their paths.
    others : list of str
        Files that do not fit the layout.
    left_out : int
        Files that fit, of an expression that is neither basic nor neutral.
    """

    photographs: list[Photograph]
    others: list[str]
    left_out: int


def list_directory(directory: Path, layout: Layout) -> Found:
    """Find the photographs of a layout, at any depth; files that start with a dot do not count.

    Raises
    ------
    BadInput
        If there is no such directory, it has no file or none that fits, a file name is not UTF-8,
        or the layout's list of labels is missing or not understood.
    """
    names = _file_names(directory)
    labels = _labels(directory, names, layout) if layout.labels_file else None
    photographs: list[Photograph] = []
    others: list[str] = []
    left_out = 0
    for name in names:
        if labels is not None and name.rsplit("/", 1)[-1] == layout.labels_file:
            continue
        fields = layout.fields(name)
        label = _label(fields, labels)
        if fields is None or label is None:
            others.append(name)
            continue
        try:
            expression = check_expression(label, layout.name)
        except BadInput:
            others.append(name)
            continue
        if not expression:
            left_out += 1
            continue
        identity = fields.pop("identity")
        attributes = {k: v for k, v in fields.items() if k != "expression" and v}
        photographs.append(Photograph(name, identity, expression, attributes))
    if not photographs:
        raise BadInput(
            f"No file in {directory} fits {layout.example} ({layout.source}); there are "
            f"{named(others) if others else 'only expressions that are left out'}."
        )
    return Found(photographs, others, left_out)


def named(names: Sequence[str]) -> str:
    """Count some files and name the first few, for a message."""
    shown = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} file{'s' * (len(names) != 1)}: {shown}{more}"


def _file_names(directory: Path) -> list[str]:
    if not directory.is_dir():
        raise BadInput(f"There is no directory {directory}.")
    paths = [p.relative_to(directory) for p in directory.rglob("*") if p.is_file()]
    names = sorted(p.as_posix() for p in paths if not p.name.startswith("."))
    for name in names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            shown = os.fsencode(name).decode("utf-8", "backslashreplace")
            raise BadInput(
                f"The name of the file {shown} in {directory} is not UTF-8; rename it."
            ) from None
    if not names:
        raise BadInput(f"The directory {directory} has no files.")
    return names


def _label(fields: dict[str, str] | None, labels: dict[str, str] | None) -> str | None:
    if fields is None or labels is None:
        return None if fields is None else fields["expression"]
    return labels.get(fields["identity"])


def _labels(directory: Path, names: Sequence[str], layout: Layout) -> dict[str, str]:
    """Read the list of labels: identity to label."""
    lists = [name for name in names if name.rsplit("/", 1)[-1] == layout.labels_file]
    if len(lists) != 1:
        raise BadInput(
            f"The layout {layout.name} needs one file {layout.labels_file} in {directory}; "
            f"there are {len(lists)}."
        )
    path = directory / lists[0]
    lines = read_text(path, "The list of labels", TABLE_LIMIT).splitlines()
    labels: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        parts = line.split()
        if not parts:
            continue
        fields = layout.fields(parts[0]) if len(parts) == 2 else None
        if fields is None or labels.setdefault(fields["identity"], parts[1]) != parts[1]:
            raise BadInput(
                f"Line {number} of {path} is no file name and label ({layout.example} 5), "
                "or gives another label to a file that has one."
            )
        check_expression(parts[1], layout.name)
    return labels

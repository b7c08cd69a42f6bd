"""A section of a study file: its keys, the line of each, and the records that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fexp_store.errors import BadInput
from fexp_store.options import OutOfBounds, describe, make, relative_to


@dataclass(frozen=True)
class Section:
    """One ``[[…]]`` of a study file.

    Parameters
    ----------
    directory : Path
        Of the study file; the files that it names are relative to it.
    values : dict
        Its keys and values.
    lines : dict
        Where each key stands, for messages; "" is the header.
    """

    directory: Path
    values: dict[str, Any]
    lines: Mapping[str, str] = field(repr=False)

    def records(self, *classes: type) -> list[Any]:
        """Share the section's keys out to records, each of which has its own.

        Raises
        ------
        BadInput
            If a key is unknown or missing, or its value is none that it can have; with its line.
        """
        known = {option.name: cls for cls in classes for option in describe(cls)}
        for key in self.values:
            if key not in known:
                raise self.refusal(key, f"unknown key {key!r}; known here: {', '.join(known)}.")
        return [
            self.make(cls, {key: v for key, v in self.values.items() if known[key] is cls})
            for cls in classes
        ]

    def make(self, cls: type, values: Mapping[str, Any], key: str = "") -> Any:
        """Make a record of values; where they stand in braces, of the key before them."""
        try:
            return make(cls, relative_to(self.directory, cls, values))
        except OutOfBounds as error:
            raise self.refusal(key or error.option, str(error)) from None

    def refusal(self, key: str, sentence: str) -> BadInput:
        """Return what is wrong, with its line."""
        return BadInput(f"{self.lines.get(key, self.lines[''])}: {sentence}")


def sections_of(path: Path, text: str, kind: str, found: Any) -> list[Section]:
    """Return the sections of a kind, in the order of the file."""
    if not isinstance(found, list) or not all(isinstance(x, dict) for x in found):
        raise BadInput(f"{where(path, text, None, 0, kind)}: write {kind} as [[{kind}]].")
    return [
        Section(
            path.parent,
            values,
            {key: where(path, text, kind, number, key) for key in ("", *values)},
        )
        for number, values in enumerate(found)
    ]


def where(path: Path, text: str, kind: str | None, number: int, key: str) -> str:
    """File and line of a key in the number-th ``[[kind]]``, or of its header if not found."""
    block, count, header = None, -1, 1
    for line, content in enumerate(text.splitlines(), 1):
        opened = re.match(r"\s*\[\[?\s*([\w-]+)", content)
        if opened:
            block = opened[1]
            count += block == kind
            if block == kind and count == number:
                header = line
        here = block == kind and (kind is None or count == number)
        named = re.match(rf"\s*(\[\[?\s*)?[\"']?{re.escape(key)}[\"']?\s*(=|\])", content)
        if key and named and (here or (kind is None and opened)):
            return f"{path.name} line {line}"
    return f"{path.name} line {header}"

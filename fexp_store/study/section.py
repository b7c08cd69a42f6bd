"""A section of a study file: its keys, the line of each, and the records that they make."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fexp_store.errors import BadInput
from fexp_store.options import OutOfBounds, describe, make, relative_to

_MOST = 1000  # sections of a kind


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


class Lines:
    """Where sections and keys stand in a study file, in words; the file is searched once."""

    def __init__(self, path: Path, text: str) -> None:
        self._name = path.name
        self._found: dict[tuple[str, int, str], int] = {}
        block, counts = "", Counter({"": 1})
        for line, content in enumerate(text.splitlines(), 1):
            if opened := _HEADER.match(content):
                brackets, block = opened.groups()
                counts[block] += len(brackets) == 2 or not counts[block]
                self._found.setdefault((block, counts[block] - 1, ""), line)
            elif named := _KEY.match(content):
                self._found.setdefault((block, counts[block] - 1, named[1]), line)

    def of(self, kind: str, number: int = 0, key: str = "") -> str:
        """File and line of a key in the number-th ``[[kind]]``, or of its header if not found."""
        header = self._found.get((kind, number, ""), 1)
        return f"{self._name} line {self._found.get((kind, number, key), header)}"

    def of_top(self, key: str) -> str:
        """File and line of a key before all sections, or of the section of that name."""
        return self.of("", 0, key) if ("", 0, key) in self._found else self.of(key)


_HEADER = re.compile(r"\s*(\[\[?)\s*[\"']?([\w-]+)")
_KEY = re.compile(r"\s*[\"']?([\w-]+)")


def sections_of(path: Path, lines: Lines, kind: str, found: Any) -> list[Section]:
    """Return the sections of a kind, in the order of the file."""
    if not isinstance(found, list) or not all(isinstance(x, dict) for x in found):
        raise BadInput(f"{lines.of_top(kind)}: write {kind} as [[{kind}]].")
    if len(found) > _MOST:
        raise BadInput(f"{path.name} has {len(found)} [[{kind}]]; a study has at most {_MOST}.")
    return [
        Section(
            path.parent,
            values,
            {key: lines.of(kind, number, key) for key in ("", *values)},
        )
        for number, values in enumerate(found)
    ]

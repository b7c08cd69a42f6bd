"""Delta logs line by line: libraries skip what they do not know, so that a flipped bit hides rows.

Measured: delta-rs 1.6 opens a log in which an ``add`` is called ``adf``, without its file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

_FILE = {
    *("path", "partitionValues", "size", "dataChange", "stats", "tags", "deletionVector"),
    *("baseRowId", "defaultRowCommitVersion"),
}
# The fields of each action, after Delta's protocol; those that it must have come first.
_ACTIONS: dict[str, tuple[set[str], set[str]]] = {
    "add": (
        {"path", "partitionValues", "size", "modificationTime", "dataChange"},
        {*_FILE, "clusteringProvider", "stats_parsed", "partitionValues_parsed"},
    ),
    "remove": ({"path", "dataChange"}, {*_FILE, "deletionTimestamp", "extendedFileMetadata"}),
    "metaData": (
        {"id", "format", "schemaString", "partitionColumns"},
        {"name", "description", "createdTime", "configuration"},
    ),
    "protocol": (
        {"minReaderVersion", "minWriterVersion"},
        {"readerFeatures", "writerFeatures"},
    ),
    "txn": ({"appId", "version"}, {"lastUpdated"}),
    "domainMetadata": ({"domain", "configuration", "removed"}, set()),
    "cdc": ({"path", "partitionValues", "size", "dataChange"}, {"tags"}),
    "commitInfo": (set(), set()),  # whatever a writer wants to say of itself
}

Action = dict[str, Any]


def parse(content: bytes) -> Iterator[tuple[str, Action]]:
    """Give the actions of a commit by their names.

    Raises
    ------
    ValueError
        If a line is none that Delta's protocol knows; the message says which.
    """
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                yield _action(line)
            except (ValueError, TypeError, RecursionError) as error:
                raise ValueError(f"line {number} is no action of a log ({error})") from error


def named(line: bytes) -> tuple[str, Action]:
    """Read the action of a line and its name; ValueError if it is none of Delta's."""
    whole = json.loads(line.decode(), object_pairs_hook=_object)
    if not isinstance(whole, dict) or len(whole) != 1:
        raise ValueError("it has not one name")
    ((name, action),) = whole.items()
    if name not in _ACTIONS or not isinstance(action, dict):
        raise ValueError(f"there is no {name}")
    return name, action


def _action(line: bytes) -> tuple[str, Action]:
    name, action = named(line)
    needed, more = _ACTIONS[name]
    if lacking := needed - action.keys():
        raise ValueError(f"{name} has no {min(lacking)}")
    if name != "commitInfo" and (unknown := action.keys() - needed - more):
        raise ValueError(f"{name} has {min(unknown)}")
    if name in ("add", "remove"):
        _check_file(action)
    return name, action


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _check_file(action: Action) -> None:
    path, values = unquote(action["path"]), action.get("partitionValues") or {}
    size = action.get("size")
    if "://" in path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path leaves the table")
    if size is not None and (not isinstance(size, int) or size < 0):
        raise ValueError("a size is no number of bytes")
    if not all(isinstance(value, str | None) for value in values.values()):
        raise ValueError("a partition value is no text")
    if isinstance(action.get("stats"), str):
        json.loads(action["stats"])
    # Folders are encoded, and paths in logs are encoded once more.
    folders = [folder.partition("=") for folder in path.split("/")[:-1]]
    named = {key: unquote(value) for key, equals, value in folders if equals}
    for key, value in named.items():
        if values and key in values and values[key] is not None and values[key] != value:
            raise ValueError(f"{key} is {values[key]!r} in a folder named {value!r}")
    if values and named and named.keys() != values.keys():
        raise ValueError("a path and its partition values have not the same names")

"""Files of a warehouse: atomic writes, hashes, and paths that cannot leave the root."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from fexp_store.errors import Damaged

TEMPORARY_SUFFIX = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path; rename it to `path` on success, remove it on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file so that readers see the old content or the new, never a part."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        digest = sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def inside(root: Path, relative: str) -> Path:
    """Join a stored relative path to its root.

    Raises
    ------
    Damaged
        If the path is absolute, a URL, or leaves the root by ``..``.
    """
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts or "://" in relative or "\\" in relative:
        raise Damaged(f"The table names a file outside its own directory: {relative!r}.")
    return root / parts


def read_local(root: Path, name: str) -> dict[str, Any]:
    """Read one of the machine-local JSON records in ``.local/`` (never shared); empty if absent."""
    path = root / ".local" / f"{name}.json"
    record: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return record


def update_local(root: Path, name: str, key: str, value: str) -> None:
    """Set one key of a machine-local JSON record."""
    record = read_local(root, name) | {key: value}
    write_bytes(
        root / ".local" / f"{name}.json", json.dumps(record, indent=1, sort_keys=True).encode()
    )

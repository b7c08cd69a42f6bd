"""SHA-256 of files: of one that is there, and of one that is being written."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import IO


class HashingFile:
    """A file that hashes what is written: Parquet is written front to back, so once is enough."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = sha256()
        self.size = 0

    closed = False

    def write(self, data: bytes) -> int:
        """Append bytes."""
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Hand on what was written."""
        self._file.flush()

    def hexdigest(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal."""
        return self._digest.hexdigest()


def file_sha256(path: Path, advance: Callable[[int], object] | None = None) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal; `advance` is told of bytes as read."""
    with path.open("rb") as file:
        digest = sha256()
        while block := file.read(1 << 20):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()

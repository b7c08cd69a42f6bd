"""Where a warehouse's bytes are: the only module that touches its files and paths."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import IO, Any, NamedTuple

import pyarrow as pa

from fexp_store.errors import BadInput, Damaged

_TEMPORARY = ".partial"


class Signature(NamedTuple):
    """What changes when a file does: size in bytes, times in nanoseconds, inode."""

    size: int
    modified: int
    changed: int
    inode: int

    @property
    def text(self) -> str:
        """As it is remembered and compared."""
        return " ".join(map(str, self))


@dataclass(frozen=True)
class LocalStorage:
    """A directory of this machine. Paths are relative to it, with ``/``, and cannot leave it.

    Parameters
    ----------
    location : str
        Absolute; what people are told.
    """

    location: str

    def uri(self, path: str = "") -> str:
        """Return how DuckDB, Delta and people name a path."""
        return str(self._path(path))

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return self._path(path).exists()

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder."""
        return self._path(path).is_dir()

    def read(self, path: str) -> bytes:
        """Read a file whole; FileNotFoundError if there is none."""
        return self._path(path).read_bytes()

    def open(self, path: str) -> pa.NativeFile:
        """Open a file for reading at any place."""
        return pa.OSFile(self.uri(path))

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file so that readers see the old content or the new, never a part."""
        with self.replacing(path) as temporary, Path(temporary).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def replacing(self, path: str) -> Iterator[str]:
        """Give a local file name to write to; put it in place on success, remove it on failure."""
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}{_TEMPORARY}")
        try:
            yield str(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
            temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)  # DuckDB's

    @contextmanager
    def creating(self, path: str) -> Iterator[IO[bytes]]:
        """Give a new file to write to; it is on the disk at the end, and removed on failure."""
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                target.unlink(missing_ok=True)
                raise

    def names(self, path: str = "") -> list[str]:
        """Return the sorted names of what a folder holds; none if it is not there."""
        folder = self._path(path)
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def files(self, path: str = "") -> list[str]:
        """Return the paths of all files below a folder, links not followed."""
        found = []
        for folder, _, names in os.walk(self._path(path)):
            within = Path(folder).relative_to(self.location)
            found += [(within / name).as_posix() for name in names]
        return found

    def temporary(self, path: str) -> bool:
        """Whether a file is one that `replacing` had begun."""
        name = PurePosixPath(path).name
        return name.startswith(".") and _TEMPORARY in name

    def size(self, path: str) -> int:
        """Return the bytes of a file."""
        return self._path(path).stat().st_size

    def signature(self, path: str) -> Signature:
        """Return what changes when a file does.

        Raises
        ------
        FileNotFoundError
            If there is none.
        Damaged
            If it is a link, a pipe or a device: a warehouse holds files.
        """
        status = self._path(path).lstat()
        if not S_ISREG(status.st_mode):
            raise Damaged(f"{self.uri(path)} is no regular file; a warehouse holds nothing else.")
        return Signature(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def sha256(self, path: str, advance: Callable[[int], object] | None = None) -> str:
        """Return the SHA-256 of a file in hexadecimal; `advance` is told of bytes that are read."""
        self.signature(path)
        return file_sha256(self._path(path), advance)

    def changed(self, path: str) -> float:
        """Return when a file was changed last, in seconds since 1970."""
        return self._path(path).stat().st_mtime

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is no error."""
        self._path(path).unlink(missing_ok=True)

    def free(self) -> int:
        """Return how many bytes can still be stored."""
        return shutil.disk_usage(self.location).free

    def lock(self, name: str) -> AbstractContextManager[object]:
        """Wait until no other process of this machine holds the lock; it ends with the process."""
        from filelock import FileLock  # imports asyncio, which few commands need

        return FileLock(self.local(f"locks/{sha256(name.encode()).hexdigest()[:16]}"))

    def local(self, name: str) -> str:
        """Return the file name of something of this machine, never shared; its folder is made."""
        path = self._path(f".local/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def read_local(self, name: str) -> dict[str, Any]:
        """Read one of the JSON records of this machine; empty if absent."""
        path = f".local/{name}.json"
        record: dict[str, Any] = json.loads(self.read(path)) if self.exists(path) else {}
        return record

    def update_local(self, name: str, key: str, value: str) -> None:
        """Set one key of a JSON record of this machine."""
        with self.lock(name):
            record = self.read_local(name) | {key: value}
            content = json.dumps(record, indent=1, sort_keys=True).encode()
            self.write(f".local/{name}.json", content)

    def _path(self, path: str) -> Path:
        return inside(Path(self.location), path)


Storage = LocalStorage


def storage_of(location: str | Path) -> Storage:
    """Return the storage that a user named.

    Raises
    ------
    BadInput
        If it is a URL, which this version does not open.
    """
    if "://" in str(location):
        raise BadInput(f"{location} is a URL; this version opens local directories only.")
    return LocalStorage(str(Path(location).resolve()))


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


def file_sha256(path: Path, advance: Callable[[int], object] | None = None) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        digest = sha256()
        while block := file.read(1 << 20):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()

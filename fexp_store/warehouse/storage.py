"""Where a warehouse's bytes are: the only module that touches its files and paths."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

import pyarrow as pa
from platformdirs import user_cache_path

from fexp_store.errors import BadInput, Damaged
from fexp_store.given import parse_json
from fexp_store.warehouse import locks
from fexp_store.warehouse.hashing import HashingFile, file_sha256

_TEMPORARY = ".partial"
_WRITERS = ".local/locks/writers"
_LARGEST_RECORD = 64 << 20  # bytes of the marker, or of a record of this machine

BESIDE_DATABASES = (".wal", ".wal.checkpoint", ".wal.recovery")
"""Endings of the files that DuckDB writes beside a database."""

STAGED = re.compile(r".*(?:\.tmp|#[0-9]+)")
"""Names in logs of what delta-rs and Spark write before a commit has its name."""

# In paths that have these, delta-rs 1.6 finds no table, or another one (tried, each character).
_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f\[\]^|\\\ud800-\udfff]|%[0-9A-Fa-f]{2}")


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

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Take it from what the operating system says of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True)
class LocalStorage:
    """A directory of this machine. Paths are relative to it, with ``/``, and cannot leave it.

    The directory itself may be a link; a path below it that leads over one is refused, so that
    what somebody sends reads, writes and deletes nothing elsewhere.

    Parameters
    ----------
    location : str
        Absolute; what people are told.
    held : bool
        Whether this process keeps everybody else from `writing`, as `alone` gives it.
    """

    location: str
    held: bool = False

    def uri(self, path: str = "") -> str:
        """Return how DuckDB, Delta and people name a path."""
        return str(self._path(path))

    def table(self, path: str) -> str:
        """Return how Delta names a table, whose log it then may read."""
        self.log(path)
        return self.uri(path)

    def log(self, path: str) -> list[str]:
        """Return the names in the log of a table; none if there is no log, or a begun one only.

        Raises
        ------
        Damaged
            If there is a link, a pipe or a device, which Delta would follow or wait for.
        """
        return [x for x in self._plain(f"{path}/_delta_log") if not STAGED.fullmatch(x)]

    def make(self) -> None:
        """Make the folder, if it is not there."""
        Path(self.location).mkdir(parents=True, exist_ok=True)

    def demand_writable(self) -> None:
        """Say at once that nothing can be written here.

        Raises
        ------
        BadInput
            If this user may only read, or the disk is mounted so.
        """
        if not os.access(self.location, os.W_OK | os.X_OK):
            raise BadInput(f"{self.location} can only be read; work in a copy of your own.")

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return self._path(path).exists()

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder."""
        return self._path(path).is_dir()

    def read(self, path: str) -> bytes:
        """Read a file whole; FileNotFoundError if there is none."""
        self.signature(path)
        return self._path(path).read_bytes()

    def open(self, path: str) -> pa.NativeFile:
        """Open a file for reading at any place."""
        self.signature(path)
        return pa.OSFile(self.uri(path))

    def write(self, path: str, content: bytes, modified: int | None = None) -> None:
        """Write a whole file so that readers see the old content or the new, never a part.

        Parameters
        ----------
        modified : int, optional
            The time that its `signature` says; now by default.
        """
        with self.replacing(path) as temporary, Path(temporary).open("wb") as file:
            file.write(content)
            file.flush()
            if modified is not None:
                os.utime(file.fileno(), ns=(modified, modified))
            os.fsync(file.fileno())

    @contextmanager
    def replacing(self, path: str) -> Iterator[str]:
        """Give a local file name to write to; put it in place on success, remove it on failure."""
        target = self._target(path)
        temporary = _temporary(target)
        with self.writing():
            try:
                yield str(temporary)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
                for ending in BESIDE_DATABASES:
                    temporary.with_name(f"{temporary.name}{ending}").unlink(missing_ok=True)

    @contextmanager
    def creating(self, path: str) -> Iterator[IO[bytes]]:
        """Give a new file to write to; it is on the disk at the end, and removed on failure."""
        target = self._target(path)
        with self.writing(), target.open("xb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                target.unlink(missing_ok=True)
                raise

    def scratch(self) -> IO[bytes]:
        """Give a file to write to and read from that has no name: a kill leaves nothing of it.

        It is below ``.local`` of the warehouse, or in the folder that ``FEXP_SCRATCH`` names.
        """
        folder = self._scratch() or self._path(".local/scratch")
        folder.mkdir(parents=True, exist_ok=True)
        return TemporaryFile(dir=folder)

    def scratch_free(self) -> int | None:
        """Return how many bytes scratch files can still have; None if `free` says that too."""
        folder = self._scratch()
        if folder is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_dev == Path(self.location).stat().st_dev:
            return None
        return shutil.disk_usage(folder).free

    def _scratch(self) -> Path | None:
        """Return the folder that the environment names for scratch files, if it does."""
        named = os.environ.get("FEXP_SCRATCH")
        return Path(named) if named else None

    @contextmanager
    def hashed(self, folder: str, prefix: str, suffix: str) -> Iterator[HashingFile]:
        """Give a new file to write to, which has the SHA-256 of its bytes in its name at the end.

        It is on the disk under that name then; on failure no file is left.
        """
        temporary = _temporary(self._target(f"{folder}/{prefix}{suffix}"))
        with self.writing():
            try:
                with temporary.open("xb") as file:
                    hashing = HashingFile(file)
                    yield hashing
                    file.flush()
                    os.fsync(file.fileno())
                name = f"{prefix}{hashing.hexdigest()}{suffix}"
                temporary.replace(self._path(f"{folder}/{name}"))
                _sync_folder(temporary.parent)
            finally:
                temporary.unlink(missing_ok=True)

    def writing(self) -> AbstractContextManager[None]:
        """Be one of those who write files that nothing names yet: `alone` waits for the end."""
        if self.held:
            return nullcontext()
        return locks.shared(str(self._target(_WRITERS)))

    @contextmanager
    def alone(self, seconds: float, waiting: Callable[[], object]) -> Iterator[LocalStorage]:
        """Keep everybody out who is `writing`, in any process; see `locks.alone`.

        Through the storage that this gives one can write nevertheless.
        """
        with locks.alone(str(self._target(_WRITERS)), seconds, waiting):
            yield replace(self, held=True)

    def names(self, path: str = "") -> list[str]:
        """Return the sorted names of what a folder holds; none if it is not there."""
        folder = self._path(path)
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def folders(self, path: str) -> list[str]:
        """Return the sorted names of folders in a folder; a link is none."""
        try:
            with os.scandir(self._path(path)) as entries:
                return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError, Damaged):
            return []

    def files(self, path: str = "") -> list[str]:
        """Return the paths of all files below a folder; links, pipes and devices are none."""
        found = []
        for folder, _, names in os.walk(self._path(path)):
            within = Path(folder).relative_to(self.location)
            for name in names:
                if S_ISREG(os.lstat(f"{folder}/{name}").st_mode):
                    found.append((within / name).as_posix())
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
            raise Damaged(f"{path} is no regular file; a warehouse holds nothing else.")
        return Signature.of(status)

    def signatures(self, paths: Iterable[str]) -> dict[str, Signature]:
        """Return what `signature` does of many files at once, without those that it refuses."""
        by_folder: dict[str, list[str]] = {}
        for path in paths:
            by_folder.setdefault(path.rpartition("/")[0], []).append(path)
        found = {}
        for folder, within in by_folder.items():
            try:
                start = len(folder) + 1 if folder else 0
                place = f"{self._path(folder)}/"
            except Damaged:
                continue
            for path in within:
                try:
                    status = os.lstat(place + path[start:])
                except (OSError, ValueError):
                    continue
                if S_ISREG(status.st_mode):
                    found[path] = Signature.of(status)
        return found

    def sha256(self, path: str, advance: Callable[[int], object] | None = None) -> str:
        """Return the SHA-256 of a file in hexadecimal; `advance` is told of bytes that are read."""
        self.signature(path)
        return file_sha256(self._path(path), advance)

    def now(self) -> int:
        """Return the time by the clock of this disk, as in signatures: another one may be wrong.

        Where nothing can be written, which only matters to who deletes, it is the machine's.
        """
        path = self.local("now")
        if path is None:
            return time.time_ns()
        with TemporaryFile(dir=Path(path).parent) as file:
            return os.fstat(file.fileno()).st_mtime_ns

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is no error."""
        self._target(path).unlink(missing_ok=True)

    def free(self) -> int:
        """Return how many bytes can still be stored."""
        return shutil.disk_usage(self.location).free

    def lock(self, name: str) -> AbstractContextManager[object]:
        """Wait until no other process of this machine holds the lock; it ends with the process."""
        from filelock import FileLock  # imports asyncio, which few commands need

        return FileLock(self._target(f".local/locks/{sha256(name.encode()).hexdigest()[:16]}"))

    def local(self, name: str) -> str | None:
        """Return the file name of something of this machine, never shared; its folder is made.

        Where the warehouse can only be read, it is in the user's cache; None if that cannot be
        written either.
        """
        path = self._path(f".local/{name}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        if os.access(path.parent, os.W_OK | os.X_OK):
            return str(path)
        with suppress(OSError, BadInput):
            return str(self.cache()._target(name))
        return None

    def cache(self) -> LocalStorage:
        """Return the folder in the user's cache of what belongs to this place."""
        folder = cache_folder() / sha256(self.location.encode()).hexdigest()[:32]
        folder.mkdir(exist_ok=True)
        return LocalStorage(str(folder))

    def record(self, path: str, remedy: str = "restore it from a copy") -> dict[str, Any]:
        """Read a file that holds an object of JSON; FileNotFoundError if there is none.

        Raises
        ------
        Damaged
            If it holds something else, or is larger than such a file ever is.
        """
        if self.signature(path).size > _LARGEST_RECORD:
            raise Damaged(f"{path} is larger than it ever was; {remedy}.")
        try:
            found = parse_json(self.read(path).decode("utf-8-sig"))
        except (UnicodeDecodeError, BadInput) as error:
            raise Damaged(f"{path} cannot be read: {error}; {remedy}.") from None
        if not isinstance(found, dict):
            raise Damaged(f"{path} holds no object of JSON; {remedy}.")
        return found

    def read_local(self, name: str) -> dict[str, Any]:
        """Read one of the JSON records of this machine; empty if absent."""
        path = f".local/{name}.json"
        if not self.exists(path):
            return {}
        remedy = "delete it, and say anew where things are"
        found = self.record(path, remedy)
        if not all(isinstance(value, str) for value in found.values()):
            raise Damaged(f"{path} holds something else than texts; {remedy}.")
        return found

    def update_local(self, name: str, key: str, value: str) -> None:
        """Set one key of a JSON record of this machine."""
        with self.lock(name):
            record = self.read_local(name) | {key: value}
            content = json.dumps(record, indent=1, sort_keys=True).encode()
            self.write(f".local/{name}.json", content)

    def _path(self, path: str) -> Path:
        whole = inside(Path(self.location), path)
        named = ""
        for part in PurePosixPath(path).parts:
            named = f"{named}/{part}"
            if os.path.islink(self.location + named):  # noqa: PTH114 (a path asks many of these)
                raise Damaged(f"{named[1:]} is a link; fexp follows none inside a warehouse.")
        return whole

    def _target(self, path: str) -> Path:
        """Return where something is written, in a folder that is made."""
        self.demand_writable()
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _plain(self, path: str) -> list[str]:
        folder = self._path(path)
        if not folder.is_dir():
            return []
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    self._plain(f"{path}/{entry.name}")
                elif not entry.is_file(follow_symlinks=False):
                    raise Damaged(f"{path}/{entry.name} is no regular file, as logs hold.")
                names.append(entry.name)
        return sorted(names)


Storage = LocalStorage


def cache_folder() -> Path:
    """Return the folder of what fexp may forget, which is this user's alone; it is made.

    ``FEXP_CACHE`` names another one than the platform's.
    """
    named = os.environ.get("FEXP_CACHE")
    folder = Path(named) if named else user_cache_path("fexp-store")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def storage_of(location: str | Path) -> Storage:
    """Return the storage that a user named.

    Raises
    ------
    BadInput
        If it is a URL, which this version does not open, or has a name that Delta Lake's library
        cannot open.
    """
    # A path of Python has lost one of the two slashes of a URL.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(location)):
        raise BadInput(f"{location} is a URL; this version opens local directories only.")
    whole = str(Path(location).resolve())
    if _UNNAMEABLE.search(whole):
        raise BadInput(
            f"{whole!r} cannot be a warehouse: in the names of its folders Delta Lake takes no "
            "control character, none of [ ] ^ | \\ and no % before two hexadecimal digits."
        )
    return LocalStorage(whole)


def inside(root: Path, relative: str) -> Path:
    """Join a stored relative path to its root.

    Raises
    ------
    Damaged
        If the path is absolute, a URL, or leaves the root by ``..``.
    """
    parts = PurePosixPath(relative)
    forbidden = ("://", "\\", "\0")
    if parts.is_absolute() or ".." in parts.parts or any(x in relative for x in forbidden):
        raise Damaged(f"The table names a file outside its own directory: {relative!r}.")
    return root / parts


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}{_TEMPORARY}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

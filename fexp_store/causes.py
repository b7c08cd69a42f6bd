"""What an error of the operating system or of a library comes from, in one sentence."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import PurePath

from fexp_store.errors import FexpError

_AGAIN = "then run the same command again; what was committed stays"
_READ_ONLY = "Nothing can be written{where} ({said}); use a copy in a place of your own."
_SILENT = "A file server or the network{where} does not answer ({said}); try again later."
_THREADS = "The machine lets this user start no more threads or processes; end some, and try again."
_OPEN_FILES = "Too many files are open at once; raise the limit, for example with: ulimit -n 4096"
MEMORY = "There is not enough memory for this; ask for less at once, or use a larger machine."
DAMAGED = "A file of the warehouse cannot be read as it was stored ({said}); run: fexp verify"

_BY_NUMBER = {
    errno.ENOSPC: f"The disk{{where}} is full; free some space, {_AGAIN}.",
    errno.EDQUOT: f"Your quota on the disk{{where}} is used up; delete some files, {_AGAIN}.",
    errno.EFBIG: "A file{where} may not grow as large as is needed; raise the limit "
    f"(see: ulimit -f), {_AGAIN}.",
    errno.EROFS: _READ_ONLY,
    errno.EACCES: "This user may not read or write{where} ({said}); ask its owner for a right to.",
    errno.EPERM: "This user may not do that{where} ({said}); ask its owner for a right to.",
    errno.EMFILE: _OPEN_FILES,
    errno.ENFILE: _OPEN_FILES,
    errno.ENOMEM: MEMORY,
    errno.EAGAIN: _THREADS,
    errno.EIO: "The disk{where} fails to read or write ({said}); copy what is on it, and check it.",
    errno.ENOENT: "A file or folder{where} is not there; to look for what is missing: fexp verify",
    errno.ENOTDIR: "What should be a folder{where} is none; to look for what is wrong: fexp verify",
    errno.EISDIR: "What should be a file{where} is a folder; to look for more: fexp verify",
    errno.ENAMETOOLONG: "A name{where} is longer than the file system takes; use a shorter one.",
    errno.ELOOP: "Links{where} lead round in a circle; remove them.",
    errno.ENXIO: "A file{where} is a pipe or a device; give a regular file.",
    errno.ESTALE: _SILENT,
    errno.EHOSTDOWN: _SILENT,
    errno.EHOSTUNREACH: _SILENT,
    errno.ENETUNREACH: _SILENT,
    errno.ENETDOWN: _SILENT,
    errno.ENOTCONN: _SILENT,
    errno.ETIMEDOUT: _SILENT,
    errno.ECONNREFUSED: _SILENT,
    errno.ECONNRESET: _SILENT,
}
# What libraries say that know of no number.
_BY_WORDS = {
    "max_temp_directory_size": errno.ENOSPC,  # DuckDB spills up to nine tenths of what is free
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    "unable to open database file": errno.EACCES,
    "No usable temporary directory": errno.EROFS,
    "can't start new thread": errno.EAGAIN,
    "can't allocate memory": errno.ENOMEM,
    "CUDA out of memory": errno.ENOMEM,
    "bad_alloc": errno.ENOMEM,
}
_BY_KIND = {
    FileNotFoundError: errno.ENOENT,
    PermissionError: errno.EACCES,
    NotADirectoryError: errno.ENOTDIR,
    IsADirectoryError: errno.EISDIR,
    TimeoutError: errno.ETIMEDOUT,
    ConnectionError: errno.ECONNRESET,
}
_OF_MEMORY = {"MemoryError", "_duckdb.OutOfMemoryException"}
_BY_TYPE = {
    "RecursionError": "What was given is nested too deeply; make it flat.",
    "_internal.CommitFailedError": "Other processes write to the same table all the time "
    "({said}); run the same command again.",
    "_internal.DeltaError": DAMAGED,
    "pyarrow.lib.ArrowException": DAMAGED,
    "_duckdb.IOException": DAMAGED,
    "_duckdb.SerializationException": DAMAGED,
    "_duckdb.ConversionException": DAMAGED,
    "_duckdb.OutOfRangeException": DAMAGED,
    "sqlite3.DatabaseError": DAMAGED,
    "json.decoder.JSONDecodeError": DAMAGED,
}
# In these words DuckDB speaks of files and memory; in others, of what was asked.
_OF_DUCKDB = re.compile(r"\w+ ?\w* ?\w* Error: ")
_OF_THE_SYSTEM = re.compile(r"(IO|FATAL|TransactionContext|Permission|Out of Memory) Error: ")
_NUMBER = re.compile(r"\bos error (\d+)\b|\bOs \{ code: (\d+),|\berrno = (\d+)\b")
_PATH = re.compile(r'"(/[^"\n]*)"|\'(/[^\'\n]*)\'|(/[^\s:,;()]+)')


def cause(error: BaseException) -> str | None:
    """Say in one sentence what an error comes from, and what helps; None if that is not known.

    It is looked for in the error and then in those that it came from, so that a library's own words
    for it do not hide what the operating system said.
    """
    if (found := cause_of_machine(error)) is not None:
        return found
    for one in _chain(error):
        if "Malformed JSON" in str(one):
            return DAMAGED.format(said=first_line(one))
        for name in _names(one):
            if name in _BY_TYPE:
                return _BY_TYPE[name].format(said=first_line(one))
    return None


def cause_of_machine(error: BaseException) -> str | None:
    """Say what an error comes from if it is the disk, the memory or the network; else None."""
    for one in _chain(error):
        if (number := _number(one)) is not None:
            return _BY_NUMBER[number].format(where=_where(one), said=os.strerror(number))
        if _OF_MEMORY & set(_names(one)):
            return MEMORY
    return None


def sentence(error: BaseException) -> str:
    """Say in one sentence what went wrong, whatever it was."""
    return str(error) if isinstance(error, FexpError) else cause(error) or fault(error)


def fault(error: BaseException) -> str:
    """Say that an error is no user's, and how to see where it came from."""
    name = type(error).__name__
    said = first_line(error)
    return (
        f"This is a fault of fexp-store ({name}{': ' * bool(said)}{said}); "
        "please report it with what this shows: fexp --debug, and then the same command."
    )


def first_line(error: BaseException) -> str:
    """Return what an error says, up to its first line break and without a full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().removesuffix(".") if lines else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        yield following
        seen.append(following)
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)


def _number(error: BaseException) -> int | None:
    """Find the number of the operating system's error, by itself or in what a library says."""
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return error.errno
    text = str(error)
    if _OF_DUCKDB.match(text) and not _OF_THE_SYSTEM.match(text):
        return None
    numbers = [int(next(filter(None, found))) for found in _NUMBER.findall(text)]
    numbers += [number for words, number in _BY_WORDS.items() if words in text]
    numbers += [number for number in _BY_NUMBER if os.strerror(number) in text]
    numbers += [number for kind, number in _BY_KIND.items() if isinstance(error, kind)]
    return next((number for number in numbers if number in _BY_NUMBER), None)


def _where(error: BaseException) -> str:
    """Name the folder, for a file may have a temporary name."""
    named = error.filename if isinstance(error, OSError) else None
    if not isinstance(named, (str, bytes)):
        found = _PATH.search(str(error))
        named = found and next(filter(None, found.groups()))
    return "" if not named else f" in {PurePath(os.fsdecode(named)).parent}"


def _names(error: BaseException) -> list[str]:
    """Return the full names of an error's classes, the nearest first."""
    classes = type(error).__mro__
    return [
        c.__name__ if c.__module__ == "builtins" else f"{c.__module__}.{c.__name__}"
        for c in classes
    ]

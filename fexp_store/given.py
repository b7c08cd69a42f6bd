"""Files and texts that users give: regular files alone, read up to a limit, and never believed."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import polars as pl

from fexp_store.errors import BadInput

MIB = 1 << 20
TEXT_LIMIT = MIB
"""Bytes of a study, a query or another text that a person writes."""
TABLE_LIMIT = 512 * MIB
"""Bytes of a table that a program may have written."""
_DEPTH = 50

_KINDS: dict[str, Callable[[int], bool]] = {
    "a directory": stat.S_ISDIR,
    "a pipe": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
}


def open_file(path: Path, what: str) -> IO[bytes]:
    """Open a regular file for reading; whatever else has the name is not opened.

    Parameters
    ----------
    path : Path
    what : str
        How sentences call it: ``"The manifest"``.

    Raises
    ------
    BadInput
        If it is not there, cannot be read, or is a directory, a pipe, a socket or a device.
    """
    try:
        _check_regular(path.stat().st_mode, path, what)
        # Asked again of what is open: somebody may have put a pipe in its place.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        file = os.fdopen(descriptor, "rb")
        _check_regular(os.fstat(descriptor).st_mode, path, what)
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"{what} {path} does not exist.") from None
    except (OSError, ValueError) as error:  # a name with a zero byte in it
        raise BadInput(f"{what} {path} cannot be read: {_reason(error)}.") from None
    return file


def read_bytes(path: Path, what: str, limit: int = TABLE_LIMIT) -> bytes:
    """Read a file whole.

    Raises
    ------
    BadInput
        If it cannot be opened (see `open_file`) or has more than `limit` bytes.
    """
    with open_file(path, what) as file:
        try:
            # The size may be a lie: files of the system have none.
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > limit else file.read(limit + 1)
        except OSError as error:
            raise BadInput(f"{what} {path} cannot be read: {_reason(error)}.") from None
    if max(size, len(content)) > limit:
        raise BadInput(f"{what} {path} has more than the {limit // MIB} MiB that are read of one.")
    return content


def read_text(path: Path, what: str, limit: int = TEXT_LIMIT) -> str:
    """Read a text of UTF-8, without the mark that some programs put before it.

    Raises
    ------
    BadInput
        If it cannot be read (see `read_bytes`) or is no such text.
    """
    return _text(read_bytes(path, what, limit), path, what)


def read_csv(path: Path, what: str, limit: int = TABLE_LIMIT, **options: Any) -> pl.DataFrame:
    """Read a CSV file; `options` are those of `polars.read_csv`.

    Raises
    ------
    BadInput
        If it cannot be read as text (see `read_text`) or is no table.
    """
    content = read_bytes(path, what, limit)
    text = _text(content, path, what)
    try:
        return pl.read_csv(io.StringIO(text), **options)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0].removesuffix(".")
        raise BadInput(f"{what} {path} is no CSV file that can be read: {reason}.") from None


def parse_json(text: str) -> Any:
    """Read JSON as the standard has it.

    Raises
    ------
    BadInput
        With the rest of a sentence, if it is none, names something twice, or has numbers that are
        not finite or of thousands of digits.
    """
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        check_depth(found)
    except RecursionError:
        raise BadInput("it is nested too deeply") from None
    except ValueError as error:
        raise BadInput(str(error)) from None
    return found


def check_depth(value: Any) -> None:
    """Raise RecursionError if lists and tables are in one another more than 50 deep."""
    level = [value]
    for _ in range(_DEPTH):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return
    raise RecursionError


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has {double!r} twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _check_regular(mode: int, path: Path, what: str) -> None:
    if not stat.S_ISREG(mode):
        kind = next((kind for kind, is_so in _KINDS.items() if is_so(mode)), "no file")
        raise BadInput(f"{what} {path} is {kind}, where a regular file is needed.")


def _text(content: bytes, path: Path, what: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{what} {path} is UTF-16; save it as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{what} {path} is no text of UTF-8 (byte {error.start}); save it as UTF-8."
        ) from None
    if "\0" in text:
        raise BadInput(f"{what} {path} is no text: it has zero bytes.")
    return text


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

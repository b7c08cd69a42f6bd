"""Files that users ask for: written whole or not at all, and over nothing but a file."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fexp_store.errors import BadInput

MARKER = "warehouse.json"
"""The file by which a directory is known to be a warehouse."""


@contextmanager
def writing(path: Path, *, anew: bool = False) -> Iterator[IO[bytes]]:
    """Give a file to write to; it gets its name at the end, and on failure nothing is left.

    Parameters
    ----------
    path : Path
    anew : bool
        Whether a file that is there already is refused, instead of replaced at the end.

    Raises
    ------
    BadInput
        If it is a directory, a pipe or a device, its folder is not there or is a warehouse's, or
        a file is there that is not to be replaced.
    """
    target = Path(os.path.realpath(path))
    _check(path, target)
    written = target if anew else target.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        file = written.open("x+b")  # HDF5 reads what it writes
    except FileExistsError:
        raise BadInput(f"{path} is there already; choose another name.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"{path} cannot be written: there is no folder {target.parent}.") from None
    try:
        with file:
            yield file
        written.replace(target)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _check(path: Path, target: Path) -> None:
    if target.is_dir():
        raise BadInput(f"{path} is a directory; give the name of a file.")
    if target.exists() and not target.is_file():
        raise BadInput(f"{path} is a pipe or a device; give the name of a file.")
    for folder in target.parents:
        if (folder / MARKER).is_file():
            raise BadInput(f"{path} would be a file in the warehouse {folder}; give another place.")

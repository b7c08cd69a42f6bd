"""Readers of the formats in which people keep activations; none runs anything of a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fexp_store import given
from fexp_store.causes import cause_of_machine
from fexp_store.errors import BadInput, FexpError
from fexp_store.warehouse.exchange.source import Source, Wanted
from fexp_store.warehouse.hashing import file_sha256

Reader = Callable[[Path, Wanted], AbstractContextManager[Source]]

# By ending: module, and what is to be installed for it.
_FORMATS = {
    ".npy": ("numpy_files", None),
    ".npz": ("numpy_files", None),
    ".mat": ("matlab", None),
    ".h5": ("hdf5", "h5py"),
    ".hdf5": ("hdf5", "h5py"),
    ".nc": ("hdf5", "h5py"),
    ".zarr": ("zarr_folder", "zarr"),
    ".parquet": ("parquet", None),
}


@contextmanager
def open_file(path: Path, wanted: Wanted) -> Iterator[Source]:
    """Open a file that holds a matrix.

    Raises
    ------
    BadInput
        If it is not there, is of no known format, cannot be read, or has to be read at once and
        needs more bytes than may be.
    """
    module, package = _FORMATS.get(path.suffix.lower(), (None, None))
    if module is None:
        raise BadInput(f"{path} is of no known format: {', '.join(_FORMATS)}.")
    if not (path.is_dir() if module == "zarr_folder" else path.is_file()):
        raise BadInput(f"There is no file {path}.")
    try:
        reader: Reader = import_module(f"{__name__}.{module}").open_file
    except ImportError as error:
        raise BadInput(f"{path} needs the package {package}: pip install {package}.") from error
    with _one_sentence(path), reader(path, wanted) as source:
        yield source


def labels_of(path: Path) -> NDArray[np.generic]:
    """Read labels of rows: an .npy file, or a text file with one a line."""
    if not path.is_file():
        raise BadInput(
            f"There is neither an array {str(path)!r} beside the matrix nor such a file."
        )
    with _one_sentence(path):
        if path.suffix == ".npy":
            return np.load(io.BytesIO(given.read_bytes(path, "The file")), allow_pickle=False)
        lines = given.read_text(path, "The file", given.TABLE_LIMIT).split()
        return np.array([int(x) for x in lines] if all(map(str.isdigit, lines)) else lines)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, of the names and hashes of its files."""
    if path.is_file():
        return file_sha256(path)
    found = sorted(p for p in path.rglob("*") if p.is_file())
    lines = (f"{p.relative_to(path).as_posix()}\0{file_sha256(p)}\n" for p in found)
    return sha256("".join(lines).encode()).hexdigest()


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Readers that are not ours raise whatever they like at a file that is damaged or forged."""
    try:
        yield
    except (FexpError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and (said := cause_of_machine(error)) is not None:
            raise FexpError(said) from error  # of what is written meanwhile, or of a disk
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{path} cannot be read: {reason or type(error).__name__}.") from error

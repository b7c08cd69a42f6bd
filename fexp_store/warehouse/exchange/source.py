"""A matrix that somebody else made: where it is read, region by region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput

Region = tuple[slice, ...]
"""One slice of step 1 for each dimension."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a file.

    Parameters
    ----------
    array, rows : str or None
        Names of the matrix and of the labels of its rows.
    memory : int
        Bytes that may be read at once.
    """

    array: str | None
    rows: str | None
    memory: int


def _no_label(_name: str) -> None:
    return None


@dataclass(frozen=True)
class Source:
    """An array of numbers that need not be in memory.

    Parameters
    ----------
    name : str
        What messages call it.
    shape : tuple of int
    itemsize : int
        Bytes of one number as it is read.
    read : callable
        Takes a `Region` and returns its values.
    label : callable
        Takes the name of an array beside this one and returns that, or None if there is none.
    """

    name: str
    shape: tuple[int, ...]
    itemsize: int
    read: Callable[[Region], NDArray[Any]]
    label: Callable[[str], NDArray[Any] | None] = _no_label


def of_array(values: Any) -> Source:
    """Take an array, a tensor (torch is not needed), or what numpy makes an array of."""
    array = _as_array(values)
    check_numbers("The array", array.dtype)
    return Source("The array", array.shape, array.itemsize, array.__getitem__)


def sha256_of(source: Source) -> str:
    """Return the SHA-256 of an array's bytes in row-major order."""
    digest = sha256()
    step = max(1, (16 << 20) // (source.itemsize * prod(source.shape[1:])))
    rest = (slice(None),) * (len(source.shape) - 1)
    for start in range(0, source.shape[0], step):
        digest.update(np.ascontiguousarray(source.read((slice(start, start + step), *rest))).data)
    return digest.hexdigest()


def check_numbers(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse what is no array of real numbers."""
    if dtype.kind not in "biuf":
        raise BadInput(f"{name} holds {dtype}; activations are real numbers.")


def fits(name: str, needed: int, memory: int, remedy: str) -> None:
    """Refuse to read at once what needs more bytes than there may be."""
    if needed > memory:
        raise BadInput(
            f"{name} can only be read at once and needs {-(-needed >> 20)} MiB; say so by "
            f"--memory, or {remedy}."
        )


def pick(file: str, arrays: Mapping[str, tuple[int, ...]], wanted: str | None) -> str:
    """Choose the array of a file that holds several: the one wanted, or the only matrix.

    Parameters
    ----------
    arrays : mapping of str to tuple of int
        Shape of each array of numbers by its name.
    """
    if wanted is not None and wanted in arrays:
        return wanted
    # To MATLAB every vector is a matrix, of one row or column.
    found = [name for name, shape in arrays.items() if sum(size > 1 for size in shape) > 1]
    if wanted is None and len(found) == 1:
        return found[0]
    listed = ", ".join(f"{name} {shape}" for name, shape in arrays.items()) or "none"
    asked = "has not one matrix alone" if wanted is None else f"has no array {wanted!r}"
    raise BadInput(f"{file} {asked}; name one with --array: {listed}.")


def _as_array(values: Any) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "detach"):  # a tensor, perhaps of another device or of half precision
        values = values.detach().cpu()
        values = values.float().numpy() if values.is_floating_point() else values.numpy()
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise BadInput(f"The values are no array of numbers: {error}.") from None

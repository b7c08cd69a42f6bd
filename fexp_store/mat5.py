"""Reads MATLAB v5 files (``save -v6`` and ``-v7``), trusting no number in them.

SciPy reads them too, but its compiled reader crashes on some damaged files and asks for all the
memory there is on others; a weights file comes from anywhere.

References
----------
MathWorks, "MAT-File Format": the tables of data types and array classes, and the layout of each.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE = 1, 2, 3, 4, 5
_NUMERIC = range(6, 16)
_INTEGERS = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 12: "<i8", 13: "<u8"}
_TYPES = _INTEGERS | {7: "<f4", 9: "<f8"}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 16: "utf-8", 4: "utf-16-le", 17: "utf-16-le"}
_DEEPEST = 50
_MOST_BYTES = 2 << 30

_MOST_PARTS = 10_000
"""Elements of one array of a network: cells, or fields of structs."""


def _damaged() -> BadInput:
    return BadInput("is cut short or damaged: its MATLAB variables cannot be read.")


@dataclass(frozen=True)
class Variable:
    """A variable by its beginning alone; `bytes` is what it takes once it is unpacked."""

    name: str
    shape: tuple[int, ...]
    numeric: bool
    bytes: int


def variables(path: Path) -> list[Variable]:
    """List the variables of a file without reading their values.

    Raises
    ------
    BadInput
        The file is cut short or damaged; a predicate, as in `layers`.
    """
    return [variable for variable, _, _ in _matrices(path)]


def read_variables(
    path: Path, wanted: Collection[str], most_bytes: int = _MOST_BYTES
) -> dict[str, Any]:
    """Read variables by name, and skip the others.

    Parameters
    ----------
    path : Path
        A little-endian MATLAB v5 file.
    wanted : collection of str
    most_bytes : int
        A variable that unpacks to more is refused; VGG-16's weights are 0.6 GB.

    Returns
    -------
    dict of str to object
        A numeric array as an ndarray in MATLAB's shape, text as str, a cell array as a list in
        column-major order, a struct as a dict (a struct array as a list of dicts), and None
        for what is of another class.

    Raises
    ------
    BadInput
        The file is cut short or damaged; a predicate, as in `layers`.
    """
    found = {}
    for variable, kind, data in _matrices(path):
        if variable.name in wanted:
            whole = data if kind == _MATRIX else _unpack(data, most_bytes)
            found[variable.name] = _matrix(whole, 0)
    return found


def _matrices(path: Path) -> Iterator[tuple[Variable, int, NDArray[np.uint8]]]:
    """Yield each variable, the type of its data element, and that as it lies."""
    content = np.asarray(np.memmap(path, np.uint8, mode="r"))
    if content.size < 128:
        raise _damaged()
    if content[126:128].tobytes() != b"IM":
        raise BadInput("is not a little-endian MATLAB v5 file.")
    for kind, data in _elements(content[128:]):
        if kind == _MATRIX:
            yield _variable(data, data.size), kind, data
        elif kind == _COMPRESSED:
            try:
                start = zlib.decompressobj().decompress(data.data, 4096)
            except zlib.error:
                raise _damaged() from None
            tag = np.frombuffer(start, np.uint8)
            if tag.size < 8:
                raise _damaged()
            yield _variable(tag[8:], int(tag[4:8].view("<u4")[0])), kind, data
        else:
            raise _damaged()


def _variable(beginning: NDArray[np.uint8], size: int) -> Variable:
    """Read what a variable begins with: flags, dimensions and name."""
    parts = list(islice(_elements(beginning), 3))
    if len(parts) < 3 or not parts[0][1].size or parts[1][1].size % 4:
        raise _damaged()
    kind, shape = int(parts[0][1][0]), tuple(parts[1][1].view("<i4").tolist())
    name = parts[2][1].tobytes().decode("latin-1")
    return Variable(name, shape, kind in _NUMERIC, size)


def _elements(content: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the type and the bytes of each data element that lies in `content`."""
    at = 0
    while at < content.size:
        if content.size - at < 8:
            raise _damaged()
        first, size = content[at : at + 8].view("<u4").tolist()
        kind, start = first, at + 8
        # Up to four bytes lie in the tag itself, their number in its upper half.
        if first >> 16:
            kind, size, start = first & 0xFFFF, first >> 16, at + 4
        if start + size > content.size or (first >> 16 and size > 4):
            raise _damaged()
        yield kind, content[start : start + size]
        padded = size if kind == _COMPRESSED else -(-size // 8) * 8
        at = at + 8 if first >> 16 else start + padded


def _unpack(packed: NDArray[np.uint8], most_bytes: int) -> NDArray[np.uint8]:
    stream = zlib.decompressobj()
    try:
        content = np.frombuffer(stream.decompress(packed.data, most_bytes + 64), np.uint8)
    except zlib.error:
        raise _damaged() from None
    kind, data = next(_elements(content), (0, content))
    if not stream.eof or kind != _MATRIX:
        raise _damaged()
    return data


def _matrix(data: NDArray[np.uint8], depth: int) -> Any:
    """Read one array of any class."""
    if depth > _DEEPEST:
        raise BadInput(f"is damaged: its arrays lie more than {_DEEPEST} deep in each other.")
    if not data.size:
        return np.empty((0, 0))
    parts = list(islice(_elements(data), _MOST_PARTS + 1))
    if len(parts) > _MOST_PARTS:
        raise BadInput(f"holds an array of more than {_MOST_PARTS} others, as no network does.")
    if len(parts) < 3 or parts[0][1].size != 8 or parts[1][0] != 5 or parts[1][1].size % 4:
        raise _damaged()
    kind = int(parts[0][1][0])
    shape = parts[1][1].view("<i4").tolist()
    rest = parts[3:]
    if min(shape, default=-1) < 0:
        raise _damaged()
    if kind == _CELL:
        return _cells(rest, math.prod(shape), depth)
    if kind in (_STRUCT, _OBJECT):
        return _structs(rest[kind == _OBJECT :], math.prod(shape), depth)
    if kind == _CHAR:
        return _text(rest)
    return _numbers(rest, shape) if kind in _NUMERIC else None


def _cells(parts: list[tuple[int, NDArray[np.uint8]]], count: int, depth: int) -> list[Any]:
    if len(parts) != count or any(kind != _MATRIX for kind, _ in parts):
        raise _damaged()
    return [_matrix(data, depth + 1) for _, data in parts]


def _structs(parts: list[tuple[int, NDArray[np.uint8]]], count: int, depth: int) -> Any:
    """Read a struct array: the length of a field's name, all names, then values by element."""
    if len(parts) < 2 or parts[0][1].size != 4:
        raise _damaged()
    width, names = int(parts[0][1].view("<i4")[0]), parts[1][1].tobytes()
    if width < 1 or len(names) % width:
        raise _damaged()
    starts = range(0, len(names), width)
    fields = [names[at : at + width].split(b"\0")[0].decode("latin-1") for at in starts]
    values = _cells(parts[2:], count * len(fields), depth)
    if not fields:
        return []
    found = [
        dict(zip(fields, values[at : at + len(fields)], strict=True))
        for at in range(0, len(values), len(fields))
    ]
    return found[0] if count == 1 else found


def _text(parts: list[tuple[int, NDArray[np.uint8]]]) -> str:
    if not parts or parts[0][0] not in _ENCODINGS:
        return ""
    kind, data = parts[0]
    return data.tobytes().decode(_ENCODINGS[kind], errors="replace")


def _numbers(parts: list[tuple[int, NDArray[np.uint8]]], shape: list[int]) -> NDArray[Any]:
    if not parts or parts[0][0] not in _TYPES:
        raise _damaged()
    kind, data = parts[0]
    dtype = np.dtype(_TYPES[kind])
    if data.size != math.prod(shape) * dtype.itemsize:
        raise _damaged()
    return data.view(dtype).reshape(shape, order="F")

"""Arrays of numpy: .npy is mapped, .npz too where it is not compressed; no pickle is read."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.warehouse.exchange.source import Region, Source, Wanted, check_numbers, fits, pick

_LOCAL_HEADER = 30  # of a member of a zip archive, before its name


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


@contextmanager
def open_file(path: Path, wanted: Wanted) -> Iterator[Source]:
    """Open an .npy or .npz file."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            header = _header(str(path), file)
        yield _mapped(str(path), path, header)
        return
    with zipfile.ZipFile(path) as archive:
        yield _in_archive(path, archive, wanted)


def _in_archive(path: Path, archive: zipfile.ZipFile, wanted: Wanted) -> Source:
    listed = [m for m in archive.infolist() if m.filename.endswith(".npy")]
    members = {m.filename.removesuffix(".npy"): m for m in listed}
    headers = {name: _member_header(path, archive, m) for name, m in members.items()}
    numbers = {name: h.shape for name, h in headers.items() if h.dtype.kind in "biuf"}
    name = pick(str(path), numbers, wanted.array)

    def whole(member: str) -> NDArray[Any]:
        fits(f"{path} {member}", headers[member].bytes, wanted.memory, "save it by numpy.save")
        with archive.open(members[member]) as file:
            return npy.read_array(file, allow_pickle=False)

    def label(member: str) -> NDArray[Any] | None:
        return whole(member) if member in members else None

    called = f"{path} {name}"
    if members[name].compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(members[name].header_offset + _LOCAL_HEADER - 4)
            start = file.tell() + 4 + sum(struct.unpack("<HH", file.read(4)))
            file.seek(start)
            header = _header(called, file)
        if header.offset - start + header.bytes != members[name].file_size:
            raise BadInput(f"{called} has not as many numbers as its shape says.")
        return _mapped(called, path, header, label)
    values = whole(name)
    return Source(called, values.shape, values.itemsize, values.__getitem__, label)


def _mapped(name: str, path: Path, header: _Header, *label: Any) -> Source:
    check_numbers(name, header.dtype)
    order = "F" if header.fortran else "C"

    def read(region: Region) -> NDArray[Any]:
        # Mapped anew each time, so that pages that were read do not stay in this process.
        shape, offset = header.shape, header.offset
        mapped = np.memmap(path, header.dtype, "r", offset, shape, order)  # type: ignore[call-overload]  # its stubs know no order that is a variable
        return np.array(mapped[region])

    return Source(name, header.shape, header.dtype.itemsize, read, *label)


def _member_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Header:
    with archive.open(member) as file:
        return _header(f"{path} {member.filename}", file)


def _header(name: str, file: IO[bytes]) -> _Header:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise BadInput(f"{name} is of version {version} of .npy, which is not read.")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise BadInput(f"{name} holds Python objects; save numbers.")
    return _Header(shape, fortran, dtype, file.tell())

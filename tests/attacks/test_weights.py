"""Weights that run code, lie about their sizes, or are bombs; through the command line.

Each reader is attacked further in tests/networks/test_weights_files_refused.py.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from support.victim import Victim


class Hostile:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.place),)


def pickled(ran: Path) -> bytes:
    return pickle.dumps(Hostile(ran), 2)


def in_a_checkpoint(ran: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": {"conv1_1.weight": torch.ones(3)}, "x": Hostile(ran)}, buffer)
    return buffer.getvalue()


def in_an_old_checkpoint(ran: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"x": Hostile(ran)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def overlapping() -> bytes:
    one = {"dtype": "F32", "shape": [64, 3, 3, 3], "data_offsets": [0, 6912]}
    names = [f"conv1_{i}.weight" for i in range(1000)]
    return safetensors(dict.fromkeys(names, one), bytes(6912))


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(300_000_000))
        archive.writestr("archive/version", "3")
    return buffer.getvalue()


def nested_pickle() -> bytes:
    return b"\x80\x02" + b"(l" * 200_000 + b"." + bytes(100)


def expanded() -> bytes:
    """A tensor of a few bytes that claims to be larger than memory."""
    buffer = io.BytesIO()
    torch.save({"conv1_1.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, buffer)
    return buffer.getvalue()


def hdf5(change: Callable[[h5py.File], object]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        change(file)
    return buffer.getvalue()


def external(file: h5py.File) -> None:
    place = [(b"../outside/secret.txt", 0, 6912)]
    file.create_dataset("conv1_1.weight", (64, 3, 3, 3), "float32", external=place)


def soft_link(file: h5py.File) -> None:
    file["conv1_1.weight"] = h5py.ExternalLink("../outside/secret.h5", "/x")
    file["loop"] = h5py.SoftLink("/loop")


WEIGHTS: dict[str, Callable[[Path], bytes]] = {
    "a pickle": pickled,
    "a pickle in a checkpoint": in_a_checkpoint,
    "a pickle in an old checkpoint": in_an_old_checkpoint,
    "a deep pickle": lambda ran: nested_pickle(),
    "a zip bomb": lambda ran: zip_bomb(),
    "a tensor larger than memory": lambda ran: expanded(),
    "a header of 4 GB": lambda ran: struct.pack("<Q", (1 << 32) - 1) + b"{",
    "a header that is a bomb": lambda ran: safetensors(b'{"a":' * 100_000),
    "tensors in one place": lambda ran: overlapping(),
    "a tensor past the end": lambda ran: safetensors(
        {"conv1_1.weight": {"dtype": "F32", "shape": [9], "data_offsets": [0, 1 << 50]}}
    ),
    "a shape that overflows": lambda ran: safetensors(
        {"conv1_1.weight": {"dtype": "F32", "shape": [1 << 62, 8], "data_offsets": [0, 0]}}
    ),
    "names that command a terminal": lambda ran: safetensors(
        {"\x1b]0;x\x07.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)
    ),
    "HDF5 of other files": lambda ran: hdf5(external),
    "HDF5 links": lambda ran: hdf5(soft_link),
    "HDF5 of many petabytes": lambda ran: hdf5(
        lambda file: file.create_dataset("conv1_1.weight", (1 << 40, 1 << 10), "f4", chunks=(1, 64))
    ),
    "HDF5 cut short": lambda ran: hdf5(lambda file: file.create_group("a"))[:900],
    "MATLAB that lies": lambda ran: b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\x01IM" + b"\xff" * 64,
    "MATLAB that is a bomb": lambda ran: matlab_bomb(),
    "Torch7 in itself": lambda ran: struct.pack("<3i", 3, 1, 1) + struct.pack("<2i", 3, 1) * 9,
    "a module of Python": lambda ran: f"import os\nos.mkdir({str(ran)!r})\n".encode(),
    "a NumPy pickle": lambda ran: numpy_pickle(ran),
}


def matlab_bomb() -> bytes:
    import zlib

    inner = struct.pack("<2I", 14, (1 << 31) - 8) + bytes(300_000_000)
    packed = zlib.compress(inner, 9)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\x01IM"
    return head + struct.pack("<2I", 15, len(packed)) + packed


def numpy_pickle(ran: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Hostile(ran)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", WEIGHTS)
def test_hostile_weights_are_refused_and_run_nothing(victim: Victim, kind: str) -> None:
    work = victim.outside.parent / "work"
    (work / "weights.pth").write_bytes(WEIGHTS[kind](work / "ran"))
    done = victim("networks", "add", "new", "--architecture", "vgg16", "--weights", "weights.pth")
    assert done.code == 1
    assert "weights.pth " in done.sentence
    assert not (work / "ran").exists()


IMPORTED: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "a NumPy pickle": ("x.npy", numpy_pickle),
    "a header that lies": (
        "x.npy",
        lambda ran: npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1 << 40, 9), }"),
    ),
    "a header that is code": ("x.npy", lambda ran: npy(f"__import__('os').mkdir({str(ran)!r})")),
    "a header of a gigabyte": ("x.npy", lambda ran: b"\x93NUMPY\x02\x00\xff\xff\xff\x3f{"),
    "a zip bomb": ("x.npz", lambda ran: zip_bomb()),
    "a zip with paths": ("x.npz", lambda ran: zip_of("../../outside/x.npy")),
    "HDF5 of other files": ("x.h5", lambda ran: hdf5(external)),
    "HDF5 links": ("x.h5", lambda ran: hdf5(soft_link)),
    "MATLAB that is a bomb": ("x.mat", lambda ran: matlab_bomb()),
    "Parquet of garbage": ("x.parquet", lambda ran: b"PAR1" + b"\xff" * 400 + b"PAR1"),
}


def npy(header: str) -> bytes:
    text = header.ljust(118).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)


def zip_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }"))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", IMPORTED)
def test_hostile_matrices_are_refused_and_run_nothing(victim: Victim, kind: str) -> None:
    work = victim.outside.parent / "work"
    name, make = IMPORTED[kind]
    (work / name).write_bytes(make(work / "ran"))
    done = victim("import", name, "-n", "new", "-l", "x", "-s", "set1", "--source", "y")
    assert done.code == 1
    assert not (work / "ran").exists()

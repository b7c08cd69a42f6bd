"""Files that are damaged, forged or too large to be read are refused in one sentence, unread."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import scipy.io
import zarr
from support.matrix_writers import WRITERS
from support.planted import prototype_rows, register_rows
from support.writing import state

from fexp_store import BadInput, Warehouse

N = 12


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def wh(empty: Warehouse) -> Warehouse:
    register_rows(empty, "faces", prototype_rows(["anna", "ben"]))
    return empty


def objects(folder: Path) -> Path:
    np.save(folder / "x.npy", np.array([[Canary(folder / "ran")] * 3] * N, dtype=object))
    return folder / "x.npy"


def objects_in_npz(folder: Path) -> Path:
    x = np.array([[Canary(folder / "ran")] * 3] * N, dtype=object)
    np.savez(folder / "x.npz", values=x)
    return folder / "x.npz"


def objects_as_labels(folder: Path) -> Path:
    labels = np.array([Canary(folder / "ran")] * N, dtype=object)
    np.savez(folder / "x.npz", values=np.zeros((N, 3)), stimulus_id=labels)
    return folder / "x.npz"


def longer_than_the_file(folder: Path) -> Path:
    np.save(folder / "x.npy", np.zeros((N, 1000)))
    os.truncate(folder / "x.npy", 5000)
    return folder / "x.npy"


def below_nothing(folder: Path) -> Path:
    np.save(folder / "x.npy", np.zeros((N, 1000)))
    content = (folder / "x.npy").read_bytes().replace(b"(12, 1000)", b"(12,-1000)")
    (folder / "x.npy").write_bytes(content)
    return folder / "x.npy"


def bomb(folder: Path) -> Path:
    """8 GB of zeros in some MB of an archive in an archive's member."""
    header = io.BytesIO()
    np.lib.format.write_array_header_2_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (N, 100_000_000)}
    )
    with zipfile.ZipFile(folder / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", header.getvalue() + bytes(1 << 20))
    return folder / "x.npz"


def mat_bomb(folder: Path) -> Path:
    scipy.io.savemat(folder / "x.mat", {"values": np.zeros((N, 400_000))}, do_compression=True)
    return folder / "x.mat"


def linked_hdf5(folder: Path) -> Path:
    with h5py.File(folder / "other.h5", "w") as file:
        file["values"] = np.zeros((N, 3))
    with h5py.File(folder / "x.h5", "w") as file:
        file["values"] = h5py.ExternalLink("other.h5", "values")
    return folder / "x.h5"


def hdf5_of_other_bytes(folder: Path) -> Path:
    (folder / "secret").write_bytes(bytes(N * 3 * 8))
    with h5py.File(folder / "x.h5", "w") as file:
        outside = [(str(folder / "secret"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("values", (N, 3), "f8", external=outside)
    return folder / "x.h5"


def virtual_hdf5(folder: Path) -> Path:
    layout = h5py.VirtualLayout((N, 3), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "values", (N, 3))
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_virtual_dataset("values", layout)
    return folder / "x.h5"


def linked_zarr(folder: Path) -> Path:
    zarr.create_array(folder / "x.zarr", data=np.ones((N, 3)), compressors=None)
    chunk = folder / "x.zarr" / "c" / "0" / "0"
    chunk.rename(folder / "secret")
    chunk.symlink_to(folder / "secret")
    return folder / "x.zarr"


def zarr_of_pickles(folder: Path) -> Path:
    zarr.create_array(folder / "x.zarr", data=np.zeros((N, 3)), zarr_format=2, compressors=None)
    metadata = folder / "x.zarr" / ".zarray"
    named = json.loads(metadata.read_text()) | {"filters": [{"id": "pickle", "protocol": 5}]}
    metadata.write_text(json.dumps(named))
    return folder / "x.zarr"


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "x.npy")
    return folder / "x.npy"


def folder_for_a_file(folder: Path) -> Path:
    (folder / "x.h5").mkdir()
    return folder / "x.h5"


def text_columns(folder: Path) -> Path:
    frame = pl.DataFrame({"a": ["x"] * N, "b": [1.0] * N})
    frame.write_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def long_with_one_twice(folder: Path) -> Path:
    ids = np.repeat(np.arange(N), 2)
    frame = pl.DataFrame({"stimulus_id": ids, "unit_id": [0, 1] * N, "activation": [0.0] * 2 * N})
    frame[5, "unit_id"] = 0
    frame.write_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def long_with_one_missing(folder: Path) -> Path:
    ids = np.repeat(np.arange(N), 2)
    frame = pl.DataFrame({"stimulus_id": ids, "unit_id": [0, 1] * N, "activation": [0.0] * 2 * N})
    frame.head(-1).write_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def nulls(folder: Path) -> Path:
    frame = pl.DataFrame({"a": [1.0] * N, "b": [1.0] * (N - 1) + [None]})
    frame.write_parquet(folder / "x.parquet")
    return folder / "x.parquet"


CASES = (
    *(objects, objects_in_npz, objects_as_labels, longer_than_the_file, below_nothing, bomb),
    *(mat_bomb, linked_hdf5, hdf5_of_other_bytes, virtual_hdf5, linked_zarr, zarr_of_pickles),
    *(fifo, folder_for_a_file, text_columns, long_with_one_twice, long_with_one_missing, nulls),
)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_hostile_file_is_refused(
    wh: Warehouse, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    file = make(tmp_path)
    before = state(wh)
    with pytest.raises(BadInput) as refused:
        wh.put("theirs", "top", "faces", file, memory=16)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    assert state(wh) == before
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", [form for form in WRITERS if not form.startswith("zarr")])
def test_a_file_that_is_cut_short_anywhere_is_refused(
    wh: Warehouse, tmp_path: Path, form: str
) -> None:
    values = np.random.default_rng(0).random((N, 40), np.float32)
    file = WRITERS[form](tmp_path, values, wh.frame("FROM stimuli")["image_sha256"].to_list())
    size = file.stat().st_size
    for fraction in (0, 0.1, 0.5, 0.9):
        os.truncate(file, 0)
        WRITERS[form](tmp_path, values, wh.frame("FROM stimuli")["image_sha256"].to_list())
        os.truncate(file, int(size * fraction))
        with pytest.raises(BadInput):
            wh.put("theirs", "top", "faces", file)

"""Files in which people keep activations, written by the packages that they use for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import scipy.io
import zarr
from numpy.typing import NDArray

Values = NDArray[np.float32]
Images = list[str]

_MATLAB = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(512)


def npy(folder: Path, values: Values, _: Images) -> Path:
    np.save(folder / "x.npy", values)
    return folder / "x.npy"


def npy_of_columns(folder: Path, values: Values, _: Images) -> Path:
    np.save(folder / "f.npy", np.asfortranarray(values))
    return folder / "f.npy"


def npz(folder: Path, values: Values, images: Images) -> Path:
    np.savez(folder / "x.npz", values=values, image_sha256=images)
    return folder / "x.npz"


def npz_packed(folder: Path, values: Values, images: Images) -> Path:
    np.savez_compressed(folder / "p.npz", values=values, image_sha256=images)
    return folder / "p.npz"


def mat(folder: Path, values: Values, images: Images) -> Path:
    cells = np.array(images, dtype=object)
    scipy.io.savemat(folder / "x.mat", {"values": values, "image_sha256": cells})
    return folder / "x.mat"


def mat_packed(folder: Path, values: Values, images: Images) -> Path:
    ids = np.arange(len(images), dtype=np.float64)
    variables = {"values": values, "stimulus_id": ids}
    scipy.io.savemat(folder / "p.mat", variables, do_compression=True)
    return folder / "p.mat"


def mat73(folder: Path, values: Values, _: Images) -> Path:
    """As MATLAB does: dimensions turned round, behind a header of its own."""
    with h5py.File(folder / "h.mat", "w", userblock_size=512) as file:
        file["values"] = values.T
        file["#refs#/a"] = np.zeros((2, 2))
    with (folder / "h.mat").open("r+b") as raw:
        raw.write(_MATLAB)
    return folder / "h.mat"


def hdf5(folder: Path, values: Values, images: Images) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("deep/values", data=values, chunks=True, compression="gzip")
        file["image_sha256"] = images
    return folder / "x.h5"


def zarr_2(folder: Path, values: Values, images: Images) -> Path:
    return _zarr(folder / "2.zarr", values, 2)


def zarr_3(folder: Path, values: Values, images: Images) -> Path:
    return _zarr(folder / "3.zarr", values, 3)


def _zarr(path: Path, values: Values, version: int) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=version)
    group.create_array("values", data=values)
    group.create_array("stimulus_id", data=np.arange(len(values)))
    return path


def parquet_wide(folder: Path, values: Values, images: Images) -> Path:
    columns = {f"u{i}": column for i, column in enumerate(values.T)}
    frame = pl.DataFrame({"image_sha256": images, **columns})
    frame.write_parquet(folder / "wide.parquet", row_group_size=5)
    return folder / "wide.parquet"


def parquet_long(folder: Path, values: Values, images: Images) -> Path:
    n_stimuli, n_units = values.shape
    frame = pl.DataFrame(
        {
            "activation": values.reshape(-1),
            "image_sha256": np.repeat(images, n_units),
            "unit_id": np.tile(np.arange(n_units), n_stimuli),
        }
    )
    shuffled = frame.sample(fraction=1, shuffle=True, seed=0)
    shuffled.write_parquet(folder / "long.parquet", row_group_size=100)
    return folder / "long.parquet"


WRITERS: dict[str, Callable[[Path, Values, Images], Path]] = {
    writer.__name__: writer
    for writer in (
        *(npy, npy_of_columns, npz, npz_packed, mat, mat_packed, mat73, hdf5),
        *(zarr_2, zarr_3, parquet_wide, parquet_long),
    )
}

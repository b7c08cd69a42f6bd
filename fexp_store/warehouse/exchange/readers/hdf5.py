"""HDF5 files, netCDF-4 files and MATLAB's v7.3, which are HDF5; needs h5py.

The HDF5 library itself can crash on a file whose inner tables are damaged or forged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.warehouse.exchange.source import Region, Source, Wanted, check_numbers, fits, pick


@contextmanager
def open_file(path: Path, wanted: Wanted) -> Iterator[Source]:
    """Open an HDF5 file."""
    with h5py.File(path, "r") as file:
        yield source_of(file, path, wanted, reverse=False)


def source_of(file: h5py.File, path: Path, wanted: Wanted, *, reverse: bool) -> Source:
    """Choose a dataset; `reverse` gives its dimensions the order that MATLAB shows."""
    datasets = _datasets(file, path)
    turn = -1 if reverse else 1
    numbers = {n: d.shape[::turn] for n, d in datasets.items() if d.dtype.kind in "biuf"}
    name = pick(str(path), numbers, wanted.array)
    dataset = datasets[name]
    called = f"{path} {name}"
    check_numbers(called, dataset.dtype)

    def read(region: Region) -> NDArray[Any]:
        values: NDArray[Any] = dataset[region[::turn]]
        return values.T if reverse else values

    def label(beside: str) -> NDArray[Any] | None:
        found = datasets.get(beside)
        if found is None:
            return None
        fits(f"{path} {beside}", found.nbytes, wanted.memory, "name the array of labels by --rows")
        if h5py.check_string_dtype(found.dtype) is not None:
            found = found.asstr()
        return np.asarray(found[...])

    shape = dataset.shape[::turn]
    return Source(called, shape, dataset.dtype.itemsize, read, label)


def _datasets(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """Return the arrays that lie in this file itself: links to other files are not followed."""
    found: dict[str, h5py.Dataset] = {}

    def visit(name: str, node: Any) -> None:
        # MATLAB keeps what its cells refer to in #refs#.
        if isinstance(node, h5py.Dataset) and not name.startswith("#"):
            found[name] = node

    file.visititems(visit)
    for name, dataset in found.items():
        if dataset.external or dataset.is_virtual:
            raise BadInput(f"{path} {name} lies in another file, which fexp does not open.")
    return found

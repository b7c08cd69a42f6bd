"""MATLAB's .mat: v5 (``save -v6`` and ``-v7``) by our own reader, v7.3 as HDF5."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store import mat5
from fexp_store.errors import BadInput
from fexp_store.warehouse.exchange.source import Source, Wanted, fits, pick

_V73 = b"MATLAB 7.3"


@contextmanager
def open_file(path: Path, wanted: Wanted) -> Iterator[Source]:
    """Open a .mat file; dimensions are as MATLAB shows them."""
    with path.open("rb") as file:
        beginning = file.read(len(_V73))
    if beginning != _V73:
        yield _v5(path, wanted)
        return
    try:
        import h5py

        from fexp_store.warehouse.exchange.readers import hdf5
    except ImportError as error:
        raise BadInput(f"{path} is of MATLAB v7.3 and needs h5py: pip install h5py.") from error
    with h5py.File(path, "r") as opened:
        yield hdf5.source_of(opened, path, wanted, reverse=True)


def _v5(path: Path, wanted: Wanted) -> Source:
    try:
        variables = mat5.variables(path)
    except BadInput as error:
        raise BadInput(f"{path} {error}") from None
    shapes = {v.name: v.shape for v in variables if v.numeric}
    name = pick(str(path), shapes, wanted.array)
    sizes = {v.name: v.bytes for v in variables}

    def read(variable: str) -> Any:
        fits(f"{path} {variable}", sizes[variable], wanted.memory, "save it by: save -v7.3")
        try:
            return mat5.read_variables(path, [variable], most_bytes=sizes[variable])[variable]
        except BadInput as error:
            raise BadInput(f"{path} {error}") from None

    def label(variable: str) -> NDArray[Any] | None:
        return np.asarray(read(variable)) if variable in sizes else None

    values = np.asarray(read(name))
    return Source(f"{path} {name}", values.shape, values.itemsize, values.__getitem__, label)

"""Arrays of numpy: activations are of shape (n_stimuli, n_units), stored unit by unit."""

from __future__ import annotations

import io
import zipfile
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.lib import format as npy
from numpy.typing import NDArray

from fexp_store.warehouse.exchange.labelled import Labelled


def write_npy(file: IO[bytes], layer: Labelled) -> None:
    """Write the activations alone."""
    _write_values(file, layer)


def write_npz(file: IO[bytes], layer: Labelled) -> None:
    """Write the activations and an array for each label; a label that is missing is empty."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("activation.npy", "w", force_zip64=True) as member:
            _write_values(member, layer)
        for column in (*layer.stimuli, *layer.units):
            is_text = column.dtype == pl.String
            values = column.fill_null("").to_numpy().astype(str) if is_text else column.to_numpy()
            _write_array(archive, column.name, values)
        for name, value in layer.place.columns.items():
            _write_array(archive, name, np.array(value))


def _write_array(archive: zipfile.ZipFile, name: str, values: NDArray[Any]) -> None:
    content = io.BytesIO()
    npy.write_array(content, values, allow_pickle=False)
    archive.writestr(f"{name}.npy", content.getvalue())


def _write_values(file: IO[bytes], layer: Labelled) -> None:
    shape = (layer.stimuli.height, layer.units.height)
    header = {"descr": "<f4", "fortran_order": True, "shape": shape}
    npy.write_array_header_1_0(file, header)
    for _, values in layer.blocks():
        file.write(np.ascontiguousarray(values.T, dtype="<f4").data)

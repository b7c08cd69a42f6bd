"""netCDF-4, as xarray, R and MATLAB read it: dimensions stimulus and unit; needs h5netcdf."""

from __future__ import annotations

from typing import IO, Any

import h5netcdf
import h5py
import polars as pl

from fexp_store.warehouse.exchange.labelled import Labelled

_CHUNK_UNITS = 256


def write_nc(file: IO[bytes], layer: Labelled) -> None:
    """Write the activations and a variable for each label; a label that is missing is empty."""
    n_stimuli, n_units = layer.stimuli.height, layer.units.height
    with h5netcdf.File(file, "w") as root:
        root.dimensions = {"stimulus": n_stimuli, "unit": n_units}
        root.attrs.update(layer.place.columns)
        for dimension, frame in (("stimulus", layer.stimuli), ("unit", layer.units)):
            for column in frame:
                _write_label(root, dimension, column)
        chunks = (n_stimuli, min(n_units, _CHUNK_UNITS))
        values = root.create_variable("activation", ("stimulus", "unit"), "f4", chunks=chunks)
        values.attrs["coordinates"] = " ".join([*layer.stimuli.columns, *layer.units.columns])
        for units, block in layer.blocks():
            values[:, units] = block


def _write_label(root: Any, dimension: str, column: pl.Series) -> None:
    if column.dtype == pl.String:
        variable = root.create_variable(column.name, (dimension,), h5py.string_dtype())
        variable[...] = column.fill_null("").to_numpy()
    else:
        values = column.to_numpy()
        root.create_variable(column.name, (dimension,), values.dtype, data=values)

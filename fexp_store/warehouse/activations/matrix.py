"""Activations as dense matrices: a row group is a units x stimuli block, read by a reshape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fexp_store.errors import Damaged
from fexp_store.warehouse.activations.files import opened
from fexp_store.warehouse.activations.foreign import (
    AGAIN,
    Ranges,
    check_whole,
    measure,
    rows_by_stimulus,
    scatter_file,
)
from fexp_store.warehouse.activations.scatter import Scatter
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage


@dataclass(frozen=True)
class Matrix:
    """Activations of one layer for one stimulus set, with labels.

    Parameters
    ----------
    values : ndarray of shape (n_stimuli, n_units), float32
    stimuli : DataFrame of n_stimuli rows
        The rows of the view ``stimuli`` that `values` has, in order.
    unit_ids : ndarray of shape (n_units,), int32
    """

    values: NDArray[np.float32]
    stimuli: pl.DataFrame
    unit_ids: NDArray[np.int32]

    def to_rsatoolbox(self) -> dict[str, Any]:
        """Return the arguments of ``rsatoolbox.data.Dataset``; rsatoolbox is not needed.

        Returns
        -------
        dict
            measurements of shape (n_stimuli, n_units), float32; obs_descriptors and
            channel_descriptors: lists of labels by name.
        """
        return {
            "measurements": self.values,
            "obs_descriptors": self._labels(),
            "channel_descriptors": {"unit_id": self.unit_ids.tolist()},
        }

    def to_xarray(self) -> Any:
        """Return an ``xarray.DataArray`` with dimensions stimulus and unit; xarray is needed."""
        import xarray

        stimuli = {name: ("stimulus", values) for name, values in self._labels().items()}
        coordinates = stimuli | {"unit_id": ("unit", self.unit_ids)}
        return xarray.DataArray(
            self.values, dims=("stimulus", "unit"), coords=coordinates, name="activation"
        )

    def _labels(self) -> dict[str, list[Any]]:
        names = ("stimulus_set", "stimulus_id", "identity", "expression")
        return {name: self.stimuli[name].to_list() for name in names}


@dataclass(frozen=True)
class StoredFile:
    """A file of activations and what is known of it; `fragment_id` is None if it is foreign."""

    path: str
    fragment_id: str | None
    ranges: Ranges


def stored_files(storage: Storage, rows: pl.DataFrame) -> list[StoredFile]:
    """Make files of rows of the view ``fragments``; of a foreign one they say less."""
    found = []
    for row in rows.iter_rows(named=True):
        values = [row[field.name] for field in fields(Ranges)]
        known = None not in values
        ranges = Ranges(*values) if known else measure(storage, row["path"])
        found.append(StoredFile(row["path"], row.get("fragment_id"), ranges))
    return found


@dataclass(frozen=True)
class StoredLayer:
    """What is stored of a layer for a stimulus set.

    Parameters
    ----------
    place : Place
    files : sequence of StoredFile
        All of them.
    n_units : int
        Of the layer.
    """

    place: Place
    files: Sequence[StoredFile]
    n_units: int

    @property
    def in_fragments(self) -> bool:
        """Whether each file is a fragment of all units: then no two have one stimulus."""
        return all(
            file.fragment_id is not None
            and (file.ranges.unit_start, file.ranges.unit_stop) == (0, self.n_units)
            for file in self.files
        )

    def stimuli(self, storage: Storage) -> NDArray[np.int32]:
        """Return the stimuli of which there are activations, in ascending order.

        Raises
        ------
        Damaged
            If a stimulus has activations of some units only, or of some twice.
        """
        counts = np.zeros(max(file.ranges.stimulus_stop for file in self.files), np.int64)
        for file in self.files:
            counts += rows_by_stimulus(storage, file.path, file.ranges, len(counts))
        check_whole(self.place, counts, self.n_units)
        return np.flatnonzero(counts).astype(np.int32)


def read_units(
    storage: Storage, layer: StoredLayer, stimuli: NDArray[np.int32], unit_ids: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Read some units of a layer.

    Parameters
    ----------
    stimuli : ndarray of shape (n_stimuli,), int32
        What `StoredLayer.stimuli` returned.
    unit_ids : ndarray of shape (n_units,), int32
        In ascending order. Only row groups that hold one of them are read.

    Returns
    -------
    ndarray of shape (n_stimuli, n_units), float32

    Raises
    ------
    Damaged
        If a page fails its checksum, a file is not the fragment that was committed, or an
        activation is in no file or in two.
    """
    values = np.empty((len(stimuli), len(unit_ids)), dtype=np.float32)
    if layer.in_fragments:
        for file in layer.files:
            _read_fragment(values.__setitem__, storage, file, stimuli, unit_ids)
        return values
    scatter = Scatter(values)
    for file in layer.files:
        if file.fragment_id is not None:
            _read_fragment(scatter.put, storage, file, stimuli, unit_ids)
        else:
            scatter_file(storage, file.path, scatter, stimuli, unit_ids)
    if (fault := scatter.fault()) is not None:
        row, column = fault
        where = f" (unit {unit_ids[column]} for stimulus {stimuli[row]} is missing)"
        raise Damaged(
            f"The files of {layer.place} have not each activation once"
            f"{where if row >= 0 else ''}, since another program changed them. {AGAIN}"
        )
    return values


def _read_fragment(
    put: Callable[[tuple[slice, Any], NDArray[np.float32]], None],
    storage: Storage,
    fragment: StoredFile,
    stimuli: NDArray[np.int32],
    unit_ids: NDArray[np.int32],
) -> None:
    """Read the units of a fragment that are among `unit_ids`, each for all its stimuli."""
    ranges = fragment.ranges
    n_stimuli = ranges.stimulus_stop - ranges.stimulus_start
    first, last = np.searchsorted(unit_ids, [ranges.unit_start, ranges.unit_stop])
    at = int(np.searchsorted(stimuli, ranges.stimulus_start))
    rows = slice(at, at + n_stimuli)
    with opened(storage, fragment.path) as file:
        _check_is(file, fragment)
        in_group = file.metadata.row_group(0).num_rows // n_stimuli
        in_file = unit_ids[first:last] - ranges.unit_start
        groups = in_file // in_group
        for group in np.unique(groups):
            wanted = np.flatnonzero(groups == group)
            column = file.read_row_group(int(group), columns=["activation"]).column(0)
            block = column.to_numpy().reshape(-1, n_stimuli)
            begin = first + int(wanted[0])
            columns = slice(begin, begin + len(wanted))
            if len(wanted) < len(block):  # else the whole block: no copy but the transposition
                block = block[in_file[wanted] - int(group) * in_group]
            put((rows, columns), block.T)


def _check_is(file: pq.ParquetFile, fragment: StoredFile) -> None:
    """Compare the footer of a file with our record of it."""
    ranges, footer = fragment.ranges, file.metadata
    group_rows = footer.row_group(0).num_rows if footer.num_row_groups else 0
    n_stimuli = ranges.stimulus_stop - ranges.stimulus_start
    if footer.num_rows != ranges.rows or not ranges.full or group_rows % n_stimuli:
        raise ValueError("it does not have the rows that were committed")
    said = (footer.metadata or {}).get(b"fexp.fragment_id")
    if said is not None and said.decode() != fragment.fragment_id:
        raise ValueError("it is another fragment than its name says")

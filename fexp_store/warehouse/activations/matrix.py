"""Activations as dense matrices: a row group is a units x stimuli block, read by a reshape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fexp_store.errors import Damaged
from fexp_store.warehouse.activations.files import opened
from fexp_store.warehouse.activations.foreign import (
    AGAIN,
    Put,
    Ranges,
    check_whole,
    measure,
    rows_by_stimulus,
    scatter_file,
)
from fexp_store.warehouse.activations.fragment import units_a_group
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
    """A file of activations and what is known of it.

    Parameters
    ----------
    path : str
    fragment_id : str or None
        None if it is foreign.
    carries_id : bool
        Whether the file says what it is: those of earlier versions, and those of other programs
        that were adopted, do not, and the latter may have their rows in any order.
    ranges : Ranges
    """

    path: str
    fragment_id: str | None
    carries_id: bool
    ranges: Ranges

    def footer(self, place: Place) -> dict[str, str]:
        """Return what the file says of itself if it does, see `Portion.in_file`."""
        ranges = {name: value for name, value in asdict(self.ranges).items() if name != "rows"}
        said = {"fragment_id": self.fragment_id, **place.columns, **ranges}
        return {f"fexp.{name}": str(value) for name, value in said.items()}


def stored_files(storage: Storage, rows: pl.DataFrame) -> list[StoredFile]:
    """Make files of rows of the view ``fragments``; of a foreign one they say less."""
    found = []
    for row in rows.iter_rows(named=True):
        values = [row[field.name] for field in fields(Ranges)]
        known = None not in values
        ranges = Ranges(*values) if known else measure(storage, row["path"])
        carries_id = row.get("nonfinite") is not None
        found.append(StoredFile(row["path"], row.get("fragment_id"), carries_id, ranges))
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
    scatter = None if layer.in_fragments else Scatter(values)
    wanted = _Wanted(stimuli, unit_ids, values.__setitem__ if scatter is None else scatter.put)
    for file in layer.files:
        if file.fragment_id is None or not _read_fragment(storage, layer.place, file, wanted):
            scatter_file(storage, file.path, wanted.put, stimuli, unit_ids)
    fault = None if scatter is None else scatter.fault()
    if fault is not None:
        row, column = fault
        where = f" (unit {unit_ids[column]} for stimulus {stimuli[row]} is missing)"
        raise Damaged(
            f"The files of {layer.place} have not each activation once"
            f"{where if row >= 0 else ''}, since another program changed them. {AGAIN}"
        )
    return values


def file_blocks(
    storage: Storage, place: Place, file: StoredFile, block_bytes: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Read one file in blocks of whole units, in bounded memory.

    Parameters
    ----------
    block_bytes : int
        Size in bytes that a block's values may have (at least one row group is given).

    Yields
    ------
    (int, ndarray of shape (n_stimuli of the file, n_units of the block))
        The first unit of the block, counted from the first of the file, and its values.

    Raises
    ------
    Damaged
        As `read_units` does.
    """
    ranges = file.ranges
    layer = StoredLayer(place, [file], ranges.unit_stop)
    stimuli = np.arange(ranges.stimulus_start, ranges.stimulus_stop, dtype=np.int32)
    in_group = units_a_group(len(stimuli))
    step = max(1, block_bytes // (4 * len(stimuli) * in_group)) * in_group
    for start in range(ranges.unit_start, ranges.unit_stop, step):
        unit_ids = np.arange(start, min(start + step, ranges.unit_stop), dtype=np.int32)
        yield start - ranges.unit_start, read_units(storage, layer, stimuli, unit_ids)


@dataclass(frozen=True)
class _Wanted:
    """Stimuli and units that are read, in ascending order, and what puts them in their places."""

    stimuli: NDArray[np.int32]
    unit_ids: NDArray[np.int32]
    put: Put


def _read_fragment(storage: Storage, place: Place, fragment: StoredFile, wanted: _Wanted) -> bool:
    """Read the units of a fragment for all its stimuli; False if its rows are not sorted."""
    ranges = fragment.ranges
    n_stimuli = ranges.stimulus_stop - ranges.stimulus_start
    first, last = np.searchsorted(wanted.unit_ids, [ranges.unit_start, ranges.unit_stop])
    at = int(np.searchsorted(wanted.stimuli, ranges.stimulus_start))
    with opened(storage, fragment.path) as file:
        _check_is(file, place, fragment)
        in_group = file.metadata.row_group(0).num_rows // n_stimuli
        in_file = wanted.unit_ids[first:last] - ranges.unit_start
        groups = in_file // max(1, in_group)
        if not (fragment.carries_id or _is_sorted(file, ranges, np.unique(groups))):
            return False
        for group in np.unique(groups):
            units = np.flatnonzero(groups == group)
            column = file.read_row_group(int(group), columns=["activation"]).column(0)
            block = column.to_numpy().reshape(-1, n_stimuli)
            begin = int(first) + int(units[0])
            if len(units) < len(block):  # else the whole block: no copy but the transposition
                block = block[in_file[units] - int(group) * in_group]
            wanted.put((slice(at, at + n_stimuli), slice(begin, begin + len(units))), block.T)
    return True


def _check_is(file: pq.ParquetFile, place: Place, fragment: StoredFile) -> None:
    """Compare the footer of a file with our record of it."""
    if file.metadata.num_rows != fragment.ranges.rows or not fragment.ranges.full:
        raise ValueError("it does not have the rows that were committed")
    said = {k.decode(): v.decode() for k, v in (file.metadata.metadata or {}).items()}
    if fragment.carries_id and not fragment.footer(place).items() <= said.items():
        raise ValueError("it says itself that it is another fragment")


def _is_sorted(file: pq.ParquetFile, ranges: Ranges, groups: NDArray[np.int32]) -> bool:
    """Whether some row groups hold whole units, sorted by unit and then stimulus, as ours do."""
    n_stimuli = ranges.stimulus_stop - ranges.stimulus_start
    rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    if rows[0] % n_stimuli or any(n != rows[0] for n in rows[:-1]):
        return False
    for group in groups:
        ids = file.read_row_group(int(group), columns=["unit_id", "stimulus_id"])
        numbers = np.arange(ids.num_rows) + int(group) * rows[0]
        unit, stimulus = np.divmod(numbers, n_stimuli)
        expected = (unit + ranges.unit_start, stimulus + ranges.stimulus_start)
        found = (ids.column(i).to_numpy() for i in range(2))
        if not all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True)):
            return False
    return True

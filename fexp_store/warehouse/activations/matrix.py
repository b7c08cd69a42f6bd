"""Activations as dense matrices: a row group is a units x stimuli block, read by a reshape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fexp_store.errors import Damaged
from fexp_store.warehouse.activations.fragment import stored_path
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
class FragmentFile:
    """What is needed to read one fragment: its file, and the ranges that the catalog gives."""

    path: str
    n_units: int
    stimulus_start: int
    stimulus_stop: int


def read_units(
    storage: Storage, fragments: Sequence[FragmentFile], unit_ids: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Read some units of a layer for all stimuli of the given fragments.

    Parameters
    ----------
    fragments : sequence of FragmentFile
        In order of stimuli.
    unit_ids : ndarray of shape (n_units,), int32
        In ascending order. Only row groups that hold one of them are read.

    Returns
    -------
    ndarray of shape (n_stimuli, n_units), float32

    Raises
    ------
    Damaged
        If a page fails its checksum or a file has not the rows that were committed.
    """
    stimuli = [f.stimulus_stop - f.stimulus_start for f in fragments]
    values = np.empty((sum(stimuli), len(unit_ids)), dtype=np.float32)
    rows = np.cumsum([0, *stimuli])
    for fragment, start, stop in zip(fragments, rows, rows[1:], strict=False):
        try:
            _fill(values[start:stop], storage, fragment, unit_ids)
        except (OSError, ValueError) as error:
            raise Damaged(
                f"{fragment.path} cannot be read as it was stored ({error}); "
                "restore it from a copy, or delete the fragment and ingest again."
            ) from error
    return values


def _fill(
    out: NDArray[np.float32],
    storage: Storage,
    fragment: FragmentFile,
    unit_ids: NDArray[np.int32],
) -> None:
    n_stimuli = len(out)
    with pq.ParquetFile(
        storage.open(stored_path(fragment.path)), page_checksum_verification=True
    ) as file:
        group_rows = file.metadata.row_group(0).num_rows
        if file.metadata.num_rows != fragment.n_units * n_stimuli or group_rows % n_stimuli:
            raise ValueError("it does not have the rows that were committed")
        groups = unit_ids // (group_rows // n_stimuli)
        for group in np.unique(groups):
            wanted = np.flatnonzero(groups == group)
            column = file.read_row_group(int(group), columns=["activation"]).column(0)
            block = column.to_numpy().reshape(-1, n_stimuli)
            first = int(group) * (group_rows // n_stimuli)
            if len(wanted) == len(block):  # the whole block: no copy but the transposition
                out[:, wanted[0] : wanted[-1] + 1] = block.T
            else:
                out[:, wanted] = block[unit_ids[wanted] - first].T

"""Files of activations that another Delta client wrote: any rows in any order, and no record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fexp_store.errors import Damaged
from fexp_store.warehouse.activations.files import opened
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage

_IDS = ["unit_id", "stimulus_id"]
_BATCH_ROWS = 1 << 18

COLUMNS = {
    **dict.fromkeys((*Place._fields, "path"), pl.String),
    **dict.fromkeys(("bytes", "rows"), pl.Int64),
    **dict.fromkeys(("unit_start", "unit_stop", "stimulus_start", "stimulus_stop"), pl.Int32),
}
"""What a log and a file say themselves."""

Put = Callable[[Any, NDArray[np.float32]], None]
"""Takes rows and columns of a matrix, as numpy indexes, and their values."""

AGAIN = "Run fexp verify --repair, then what had stored it."
"""What helps where rows were taken away, or added."""


@dataclass(frozen=True)
class Ranges:
    """Rows of a file, and the half-open ranges of units and stimuli that they lie in."""

    rows: int
    unit_start: int
    unit_stop: int
    stimulus_start: int
    stimulus_stop: int

    @property
    def full(self) -> bool:
        """Whether there are as many rows as places in the ranges."""
        units, stimuli = self.unit_stop - self.unit_start, self.stimulus_stop - self.stimulus_start
        return self.rows == units * stimuli


def with_ranges(storage: Storage, files: pl.DataFrame) -> pl.DataFrame:
    """Add the columns of `Ranges` to files that a log names.

    Parameters
    ----------
    files : DataFrame
        What `fexp_store.warehouse.tables.files` returned; the ranges are its statistics, or, where
        the log has none, what the file itself says.

    Returns
    -------
    DataFrame
        Files that have rows; the ranges of one that cannot be read are null.
    """
    known = {
        "unit_start": ("min.unit_id", 0),
        "unit_stop": ("max.unit_id", 1),
        "stimulus_start": ("min.stimulus_id", 0),
        "stimulus_stop": ("max.stimulus_id", 1),
    }
    columns = {
        name: pl.col(source) + more if source in files.columns else pl.lit(None)
        for name, (source, more) in known.items()
    }
    listed = files.with_columns(**columns).select(pl.col(n).cast(t) for n, t in COLUMNS.items())
    unknown = pl.any_horizontal(pl.col(name).is_null() for name in ("rows", *known))
    measured = [
        row | (asdict(found) if (found := _measure(storage, row["path"])) else {})
        for row in listed.filter(unknown).iter_rows(named=True)
    ]
    whole = pl.concat([listed.filter(~unknown), pl.DataFrame(measured, schema=listed.schema)])
    return whole.filter(pl.col("rows").is_null() | (pl.col("rows") > 0))


def measure(storage: Storage, path: str) -> Ranges:
    """Find the ranges of a file in its footer, or in its columns."""
    with opened(storage, path) as file:
        rows = file.metadata.num_rows
        if not rows:
            return Ranges(0, 0, 0, 0, 0)
        low, high = _footer_ranges(file) or _column_ranges(file)
    return Ranges(rows, low[0], high[0] + 1, low[1], high[1] + 1)


def _measure(storage: Storage, path: str) -> Ranges | None:
    try:
        return measure(storage, path)
    except Damaged:
        return None


def rows_by_stimulus(
    storage: Storage, path: str, ranges: Ranges, n_stimuli: int
) -> NDArray[np.int64]:
    """Count the rows of each stimulus in a file, which is read only if there are places empty.

    Returns
    -------
    ndarray of shape (n_stimuli,), int64
    """
    counts = np.zeros(n_stimuli, np.int64)
    if ranges.full:
        units = ranges.unit_stop - ranges.unit_start
        counts[ranges.stimulus_start : ranges.stimulus_stop] = units
        return counts
    with opened(storage, path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=["stimulus_id"]):
            counts += np.bincount(batch.column(0).to_numpy(), minlength=n_stimuli)
    return counts


def check_whole(place: Place, counts: NDArray[np.int64], n_units: int) -> None:
    """Refuse stimuli whose activations are there in part, or in part twice."""
    torn = np.flatnonzero((counts != 0) & (counts != n_units))
    if torn.size:
        raise Damaged(
            f"{place} has {counts[torn[0]]} activations instead of {n_units} for stimulus "
            f"{torn[0]}, since another program changed its files. {AGAIN}"
        )


def scatter_file(
    storage: Storage,
    path: str,
    put: Put,
    stimuli: NDArray[np.int32],
    unit_ids: NDArray[np.int32],
) -> None:
    """Put what a file has of some stimuli and units in their places of a matrix.

    Parameters
    ----------
    put : callable
        Of a matrix of shape (n_stimuli, n_units), see `Put`.
    stimuli, unit_ids : ndarray of int32
        In ascending order. Row groups without one of the units are not read.
    """
    with opened(storage, path) as file:
        groups = _groups(file, int(unit_ids[0]), int(unit_ids[-1]))
        for batch in file.iter_batches(
            _BATCH_ROWS, row_groups=groups, columns=[*_IDS, "activation"]
        ):
            if any(column.null_count for column in batch.columns):
                raise ValueError("it holds nulls")
            unit, stimulus, values = (column.to_numpy() for column in batch.columns)
            column, row = np.searchsorted(unit_ids, unit), np.searchsorted(stimuli, stimulus)
            column[column == len(unit_ids)] = 0
            row[row == len(stimuli)] = 0
            here = (unit_ids[column] == unit) & (stimuli[row] == stimulus)
            put((row[here], column[here]), values[here])


def _footer_ranges(file: pq.ParquetFile) -> tuple[list[int], list[int]] | None:
    """Return the lowest and highest ids by the statistics of row groups, if all have them."""
    columns = [file.schema_arrow.names.index(name) for name in _IDS]
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    known = [[group.column(i).statistics for group in groups] for i in columns]
    if any(s is None or not s.has_min_max for column in known for s in column):
        return None
    low = [min(s.min for s in column) for column in known]
    return low, [max(s.max for s in column) for column in known]


def _column_ranges(file: pq.ParquetFile) -> tuple[list[int], list[int]]:
    found = []
    for batch in file.iter_batches(_BATCH_ROWS, columns=_IDS):
        ends = [pc.min_max(column).as_py() for column in batch.columns]
        found.append([[end["min"] for end in ends], [end["max"] for end in ends]])
    low, high = np.array(found).transpose(1, 0, 2)
    return low.min(axis=0).tolist(), high.max(axis=0).tolist()


def _groups(file: pq.ParquetFile, first: int, last: int) -> list[int]:
    """Return the row groups that may hold a unit from `first` to `last`."""
    column = file.schema_arrow.names.index("unit_id")
    found = []
    for group in range(file.num_row_groups):
        known = file.metadata.row_group(group).column(column).statistics
        if known is None or not known.has_min_max or (known.min <= last and first <= known.max):
            found.append(group)
    return found

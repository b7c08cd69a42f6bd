"""Writing a fragment: long form, sorted by unit, hashed on the way; rounding of mantissas."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.errors import BadInput
from fexp_store.warehouse.activations.fragment import (
    TABLE,
    Fragment,
    Portion,
    new_path,
    stored_path,
    units_a_group,
)
from fexp_store.warehouse.hashing import HashingFile
from fexp_store.warehouse.storage import Storage

_FILE_SCHEMA = pa.schema(
    [schemas.tables()[TABLE].arrow.field(i) for i in range(3, 6)]
).remove_metadata()


class Source(Protocol):
    """Where the activations of a portion come from: memory, a scratch file, a user's file."""

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the activations of some units for all stimuli of the portion.

        Parameters
        ----------
        start, stop : int
            Half-open range of units, counted from the first of the portion. Blocks are asked for
            in order and once; each but the last has `units_a_group` units.

        Returns
        -------
        ndarray of shape (stop - start, n_stimuli), float32
            Read and copied, never changed.
        """
        ...


@dataclass(frozen=True)
class Held:
    """A source in memory.

    Parameters
    ----------
    values : ndarray of shape (n_stimuli, n_units), float32
    """

    values: NDArray[np.float32]

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the activations of some units, see `Source`."""
        return self.values[:, start:stop].T


def write_portion(
    storage: Storage, portion: Portion, source: Source, *, allow_nonfinite: bool = False
) -> Fragment:
    """Write a portion to a file of its own: long form, sorted by unit and then stimulus.

    Nothing names the file until it is committed. Memory is bounded by a row group, whatever the
    size of the portion. Mantissas are rounded here if the portion has them so.

    Parameters
    ----------
    source : Source
        Of the portion's activations, as they are before rounding.
    allow_nonfinite : bool
        Store activations that are not finite, and count them.

    Returns
    -------
    Fragment
        Its file is on the disk when this returns. On failure no file is left.

    Raises
    ------
    BadInput
        If an activation is not finite, or no longer is once it is rounded.
    """
    path = new_path(portion.place)
    stimulus_ids = np.arange(portion.stimulus_start, portion.stimulus_stop, dtype=np.int32)
    group_units = units_a_group(portion.stimuli)
    nonfinite = 0
    with storage.creating(stored_path(path)) as file:
        sink = HashingFile(file)
        with _parquet_writer(sink) as writer:
            for start in range(0, portion.units, group_units):
                stop = min(start + group_units, portion.units)
                values = stored_form(source.block(start, stop), portion.keep_bits)
                finite = np.isfinite(values)
                if not (finite.all() or allow_nonfinite):
                    raise BadInput(_not_finite(portion, start, values, finite))
                nonfinite += finite.size - int(np.count_nonzero(finite))
                units = np.arange(start, stop, dtype=np.int32) + np.int32(portion.unit_start)
                columns = [
                    np.repeat(units, portion.stimuli),
                    np.tile(stimulus_ids, stop - start),
                    values.reshape(-1),
                ]
                group = pa.table(columns, schema=_FILE_SCHEMA)
                writer.write_table(group, row_group_size=group.num_rows)
            writer.add_key_value_metadata(portion.in_file)
    return Fragment(
        **asdict(portion),
        path=path,
        rows=portion.units * portion.stimuli,
        bytes=sink.size,
        sha256=sink.hexdigest(),
        nonfinite=nonfinite,
    )


def stored_form(block: NDArray[np.float32], keep_bits: int | None) -> NDArray[np.float32]:
    """Return activations as they are stored: in one piece, and rounded if so many bits are kept."""
    values = np.ascontiguousarray(block)
    if keep_bits is not None:
        values = values.copy() if np.shares_memory(values, block) else values
        round_mantissa(values, keep_bits)
    return values


def _not_finite(
    portion: Portion, start: int, values: NDArray[np.float32], finite: NDArray[np.bool_]
) -> str:
    unit, row = np.argwhere(~finite)[0]
    rounded = "" if portion.keep_bits is None else f" (with {portion.keep_bits} bits kept)"
    return (
        f"{portion.place}: the activation of unit {portion.unit_start + start + unit} for stimulus "
        f"{portion.stimulus_start + row} is {values[unit, row]}{rounded}; nothing of stimuli "
        f"{portion.stimulus_start} to {portion.stimulus_stop - 1} was stored. Look at the weights "
        "and the preprocessing; --allow-nonfinite stores it, and analyses leave the unit out."
    )


def round_mantissa(values: NDArray[np.float32], keep_bits: int) -> None:
    """Round float32 values in place to `keep_bits` bits of mantissa, half to even.

    The dropped bits are zero, which is what makes the values compress; infinities and NaN stay.

    References
    ----------
    Klöwer et al. 2021, Nature Computational Science 1:713 (bit rounding).
    """
    dropped = 23 - keep_bits
    bits = values.view(np.uint32)
    finite = np.isfinite(values)
    half = np.uint32((1 << (dropped - 1)) - 1)
    odd = (bits >> np.uint32(dropped)) & np.uint32(1)
    rounded = (bits + half + odd) & np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)
    np.copyto(bits, rounded, where=finite)


def _parquet_writer(sink: HashingFile) -> pq.ParquetWriter:
    # Plain pages under zstd: measured smaller and faster to read than dictionary, delta or
    # byte-stream-split encodings, since sorted ids compress to almost nothing (docs/benchmarks.md).
    return pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"),
        _FILE_SCHEMA,
        compression="zstd",
        use_dictionary=False,
        write_statistics=["unit_id", "stimulus_id"],
        write_page_checksum=True,
        store_schema=False,
    )

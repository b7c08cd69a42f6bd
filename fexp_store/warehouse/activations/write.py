"""Writing a fragment: long form, sorted by unit, hashed on the way; rounding of mantissas."""

from __future__ import annotations

from hashlib import sha256
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.warehouse.activations.fragment import TABLE, units_a_group
from fexp_store.warehouse.storage import Storage

_FILE_SCHEMA = pa.schema(
    [schemas.tables()[TABLE].arrow.field(i) for i in range(3, 6)]
).remove_metadata()


class _HashingFile:
    """A file that hashes what is written: Parquet is written front to back, so once is enough."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = sha256()
        self.size = 0

    closed = False

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def write_file(
    storage: Storage, path: str, activations: NDArray[np.float32], first_stimulus: int
) -> tuple[int, str]:
    """Write activations in long form, sorted by unit and then stimulus.

    Parameters
    ----------
    path : str
        In the warehouse; no file is there yet.
    activations : ndarray of shape (n_stimuli, n_units), float32
        Image-major, as networks produce them; transposed here one row group at a time.
    first_stimulus : int
        stimulus_id of the first row.

    Returns
    -------
    tuple of int and str
        Size in bytes and SHA-256 of the file, which is on the disk when this returns. On failure
        no file is left.
    """
    n_stimuli, n_units = activations.shape
    group_units = units_a_group(n_stimuli)
    stimulus_ids = np.arange(first_stimulus, first_stimulus + n_stimuli, dtype=np.int32)
    with storage.creating(path) as file:
        sink = _HashingFile(file)
        with _parquet_writer(sink) as writer:
            for start in range(0, n_units, group_units):
                stop = min(start + group_units, n_units)
                columns = [
                    np.repeat(np.arange(start, stop, dtype=np.int32), n_stimuli),
                    np.tile(stimulus_ids, stop - start),
                    np.ascontiguousarray(activations[:, start:stop].T).reshape(-1),
                ]
                rows = (stop - start) * n_stimuli
                writer.write_table(pa.table(columns, schema=_FILE_SCHEMA), row_group_size=rows)
    return sink.size, sink.hexdigest()


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


def _parquet_writer(sink: _HashingFile) -> pq.ParquetWriter:
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

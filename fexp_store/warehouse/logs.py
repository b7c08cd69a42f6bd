"""Whether a log is safe to hand to Delta's library, which reads whatever is in it whole."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fexp_store.errors import Damaged
from fexp_store.warehouse.actions import named
from fexp_store.warehouse.storage import Storage

_MIB = 1 << 20
_LARGEST = {"_last_checkpoint": _MIB, ".json": 64 * _MIB, ".parquet": 1024 * _MIB}
_ROWS = 5_000_000  # of a checkpoint
_LINES = 200_000  # of a commit: that of a file has 400 bytes and more, so these fit the size above
_SHALLOW = 8 << 10  # bytes of statistics that cannot be nested dangerously
_BRACKETS = 4_000  # of one line: tens of thousands, nested, overflow the library's stack


def check(storage: Storage, path: str) -> None:
    """Look at the sizes and the depth of what is in the log of a table.

    Raises
    ------
    Damaged
        If there is more than any table of ours has, something nested without reason, or a line
        that is no action: Delta's library leaves it out, and rows with it.
    """
    folder = f"{path}/_delta_log"
    found = storage.signatures(f"{folder}/{name}" for name in storage.log(path))
    for file, now in found.items():
        limit = next((size for end, size in _LARGEST.items() if file.endswith(end)), None)
        if limit is not None and now.size > limit:
            raise Damaged(f"{file} has {now.size} bytes, more than a log of ours has. {_REMEDY}")
        if file.endswith(".json"):
            _check_commit(storage, file)
        elif file.endswith(".parquet"):
            _check_checkpoint(storage, file)


_REMEDY = "Restore it from a copy."
_DEEP = f"is nested more deeply than a log of ours is. {_REMEDY}"


def _check_commit(storage: Storage, file: str) -> None:
    content = storage.read(file)
    if content.count(b"\n") > _LINES:
        raise Damaged(f"{file} has more lines than a commit of ours has. {_REMEDY}")
    for line in filter(bytes.strip, content.split(b"\n")):
        if line.count(b"[") + line.count(b"{") > _BRACKETS:
            raise Damaged(f"{file} {_DEEP}")
        try:
            named(line)
        except (ValueError, RecursionError) as error:  # the library would leave the line out
            raise Damaged(f"{file} is not as it was made: {error}. {_REMEDY}") from None


def _check_checkpoint(storage: Storage, file: str) -> None:
    try:
        with pq.ParquetFile(storage.open(file)) as checkpoint:
            about = checkpoint.metadata
            groups = [about.row_group(i) for i in range(about.num_row_groups)]
            size = sum(group.total_byte_size for group in groups)
            if about.num_rows > _ROWS or size > _LARGEST[".parquet"]:
                raise Damaged(f"{file} claims more than a log of ours has. {_REMEDY}")
            for batch in checkpoint.iter_batches(columns=["add.stats"]):
                _check_statistics(batch, file)
    except (pa.ArrowException, OSError) as error:
        raise Damaged(f"{file} cannot be read ({error}). {_REMEDY}") from error


def _check_statistics(batch: pa.RecordBatch, file: str) -> None:
    for column in batch.columns:
        texts = pc.struct_field(column, "stats")
        long = texts.filter(pc.greater(pc.binary_length(texts), _SHALLOW))
        for text in long.to_pylist():
            if text.count("[") + text.count("{") > _BRACKETS:
                raise Damaged(f"{file} {_DEEP}")

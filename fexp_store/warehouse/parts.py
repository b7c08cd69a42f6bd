"""Files of small tables and results: named by the SHA-256 of their bytes, which readers compare."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from fexp_store.errors import Damaged
from fexp_store.warehouse.checked import ANOTHER, REMEDY
from fexp_store.warehouse.hashing import HashingFile
from fexp_store.warehouse.storage import Storage

_PREFIX, _SUFFIX = "part-", ".parquet"
_BATCH_ROWS = 1 << 18
_NAME = re.compile(rf"(?:.*/)?{_PREFIX}([0-9a-f]{{64}})\{_SUFFIX}")


@dataclass(frozen=True)
class Part:
    """A file that was written and is not in a log yet.

    Parameters
    ----------
    path : str
        In the table's folder.
    rows, bytes : int
    partition : mapping
        Values of the table's partition columns by name.
    """

    path: str
    rows: int
    bytes: int
    partition: Mapping[str, str]

    @property
    def action(self) -> AddAction:
        """What makes it a part of a table."""
        return AddAction(
            path=self.path,
            size=self.bytes,
            partition_values=dict(self.partition),
            modification_time=time.time_ns() // 1_000_000,
            data_change=True,
            stats=json.dumps({"numRecords": self.rows}),
        )


def write(
    storage: Storage,
    folder: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    partition: Mapping[str, str] | None = None,
) -> Part:
    """Write a file of rows, batch by batch; it is on the disk when this returns.

    Parameters
    ----------
    folder : str
        Of the table, in the warehouse.
    schema : pyarrow.Schema
        Without the partition columns.
    batches : iterable of RecordBatch
        Each becomes a row group.
    partition : mapping, optional
        Values of the table's partition columns by name.
    """
    values = partition or {}
    within = [f"{key}={quote(value, safe='')}" for key, value in values.items()]
    rows = 0
    with (
        storage.hashed("/".join([folder, *within]), _PREFIX, _SUFFIX) as file,
        _writer(file, schema) as writer,
    ):
        # Equal rows written twice are two files: deleting one must not take the other.
        writer.add_key_value_metadata({"fexp.part": uuid.uuid4().hex})
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    name = f"{_PREFIX}{file.hexdigest()}{_SUFFIX}"
    return Part("/".join([*within, name]), rows, file.size, values)


def read(storage: Storage, path: str) -> pa.Table:
    """Read a file whole, if its bytes are those that it is named by.

    Files of earlier versions have other names: of those only their page checksums are compared,
    if they have any.

    Raises
    ------
    Damaged
        If it is missing, or is not as it was stored.
    """
    try:
        content = storage.read(path)
    except (FileNotFoundError, NotADirectoryError):
        raise Damaged(f"{path} is missing. {REMEDY}") from None
    wanted = digest_in(path)
    if wanted is not None and sha256(content).hexdigest() != wanted:
        raise Damaged(f"{path} {ANOTHER} {REMEDY}")
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            found = file.read()
            if wanted is None:
                found.validate(full=True)  # libraries crash on text that is none
            return found
    except (OSError, ValueError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        raise Damaged(f"{path} cannot be read as it was stored ({said}). {REMEDY}") from error


def batches(storage: Storage, path: str) -> Iterator[pa.RecordBatch]:
    """Read a file in bounded memory; of its bytes only page checksums are compared, if it has any.

    Raises
    ------
    Damaged
        If it is missing, or cannot be read.
    """
    try:
        source = storage.open(path)
        with source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                batch.validate(full=True)
                yield batch
    except (OSError, ValueError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        raise Damaged(f"{path} cannot be read as it was stored ({said}). {REMEDY}") from error


def digest_in(path: str) -> str | None:
    """Return the SHA-256 that a file is named by; None if it has another name."""
    found = _NAME.fullmatch(path)
    return None if found is None else found.group(1)


def _writer(file: HashingFile, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        pa.PythonFile(file, mode="w"),
        schema,
        compression="zstd",
        write_page_checksum=True,
        store_schema=False,
    )

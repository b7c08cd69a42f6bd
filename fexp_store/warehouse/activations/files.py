"""Opening a file of activations: what cannot be read as it was stored is Damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from fexp_store.errors import Damaged
from fexp_store.warehouse.activations.fragment import stored_path
from fexp_store.warehouse.checked import REMEDY
from fexp_store.warehouse.storage import Storage

_TYPES = {"unit_id": pa.int32(), "stimulus_id": pa.int32(), "activation": pa.float32()}


@contextmanager
def opened(storage: Storage, path: str) -> Iterator[pq.ParquetFile]:
    """Open the file at a path of the table; whatever reading it raises is Damaged."""
    where = stored_path(path)
    try:
        with pq.ParquetFile(storage.open(where), page_checksum_verification=True) as file:
            fields = {field.name: field.type for field in file.schema_arrow}
            if not _TYPES.items() <= fields.items():
                raise ValueError("it has not the columns of activations")
            yield file
    except (OSError, ValueError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        raise Damaged(f"{where} cannot be read as it was stored ({said}). {REMEDY}") from error

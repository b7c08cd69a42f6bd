"""Zarr folders, of version 2 or 3; needs zarr. Codecs that could run something are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.warehouse.exchange.source import Region, Source, Wanted, check_numbers, fits, pick

# By class: pickle is a codec of numcodecs as well, and zarr runs whatever the metadata name.
_CODECS = {
    *("BytesCodec", "BloscCodec", "ZstdCodec", "GzipCodec", "TransposeCodec", "Crc32cCodec"),
    *("ShardingCodec", "VLenUTF8Codec", "Blosc", "Zstd", "GZip", "Zlib", "LZ4", "BZ2", "LZMA"),
    *("Shuffle", "Delta", "CRC32", "CRC32C", "VLenUTF8"),
}


@contextmanager
def open_file(path: Path, wanted: Wanted) -> Iterator[Source]:
    """Open a folder that holds an array or a group of arrays."""
    if any(found.is_symlink() for found in path.rglob("*")):
        raise BadInput(f"{path} holds links, which fexp does not follow.")
    root = zarr.open(path, mode="r")
    arrays = {path.stem: root} if isinstance(root, zarr.Array) else dict(root.arrays())
    numbers = {name: found.shape for name, found in arrays.items() if found.dtype.kind in "biuf"}
    name = pick(str(path), numbers, wanted.array)
    chosen, called = arrays[name], f"{path} {name}"
    check_numbers(called, chosen.dtype)
    _check_codecs(called, chosen)

    def read(region: Region) -> NDArray[Any]:
        return np.asarray(chosen[region])

    def label(beside: str) -> NDArray[Any] | None:
        if beside not in arrays:
            return None
        found = arrays[beside]
        _check_codecs(f"{path} {beside}", found)
        fits(f"{path} {beside}", found.nbytes, wanted.memory, "name the array of labels by --rows")
        return np.asarray(found[...])

    yield Source(called, chosen.shape, chosen.dtype.itemsize, read, label)


def _check_codecs(name: str, array: Any) -> None:
    for codec in (*array.filters, *array.compressors, array.serializer):
        if codec is not None and type(codec).__name__ not in _CODECS:
            raise BadInput(f"{name} is packed by {type(codec).__name__}, which fexp does not run.")

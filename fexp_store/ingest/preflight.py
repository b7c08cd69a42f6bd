"""Before an ingest: what it will run and store, and what memory and disk it needs."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from fexp_store import schemas
from fexp_store.errors import FexpError
from fexp_store.ingest.plan import batch_images, buffer_bytes
from fexp_store.ingest.request import Prepared
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.activations.fragment import ROW_GROUP_ROWS

_WRITING = 3 * 4 * ROW_GROUP_ROWS * 2  # the columns of a row group, and their pages
_UNKNOWN_RATIO = 1.0  # of bytes on disk to raw bytes, where nothing of a layer is stored yet


@dataclass(frozen=True)
class Preflight:
    """What an ingest will do.

    Parameters
    ----------
    stimuli, fragments : int
        Stimuli that go through the network, and files that are written.
    raw_bytes : int
        Bytes of the activations as float32: exact.
    disk_bytes : int
        Bytes expected on disk: from what is stored of the same layer, else the raw bytes.
    buffer_bytes : int
        Most bytes that the buffers of activations take at a time.
    free_bytes : int
        Free bytes of the disk.
    """

    stimuli: int
    fragments: int
    raw_bytes: int
    disk_bytes: int
    buffer_bytes: int
    free_bytes: int


def preflight(wh: Warehouse, prepared: Prepared) -> Preflight:
    """Say what an ingest will do, without running anything."""
    query = schemas.sql("queries")["stored_ratios"]
    stored = wh.frame(query, network=prepared.network.network)
    ratios = dict(stored.select("layer", "ratio").iter_rows())
    files = [
        (layer.name, 4 * layer.units * span.stimuli)
        for span in prepared.spans
        for layer in span.layers
    ]
    on_disk = sum(raw * ratios.get(layer, _UNKNOWN_RATIO) for layer, raw in files)
    options = prepared.options
    buffers = [
        buffer_bytes(span, batch_images(span.layers, options.memory_bytes, options.batch_size))
        for span in prepared.spans
    ]
    return Preflight(
        stimuli=sum(span.stimuli for span in prepared.spans),
        fragments=len(files),
        raw_bytes=sum(raw for _, raw in files),
        disk_bytes=round(on_disk),
        buffer_bytes=max(buffers, default=0),
        free_bytes=wh.storage.free(),
    )


def check_disk(wh: Warehouse, found: Preflight) -> None:
    """Refuse an ingest that the disk cannot hold.

    Raises
    ------
    FexpError
        If more bytes are expected than are free.
    """
    if found.disk_bytes > found.free_bytes:
        raise FexpError(
            f"The disk of {wh.location} has {found.free_bytes / 1e9:.2f} GB free and this needs "
            f"about {found.disk_bytes / 1e9:.2f} GB; free some space, take fewer layers, or "
            "--keep-bits."
        )


def peak_memory(wh: Warehouse, prepared: Prepared) -> int:
    """Predict the peak memory of the process that runs an ingest on the CPU, in bytes.

    The sum of what this process has now, with torch imported; the weights (twice where they come
    from a file, once as the file's arrays); the largest input and output of one module for a
    batch; the buffers of activations; and the row groups that are being written.
    """
    from fexp_store.networks.forward import widest_module
    from fexp_store.networks.registry import meta_module  # imports torch, which counts

    if not prepared.spans:
        return _resident()
    module, preprocessing = meta_module(prepared.network)
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    options = prepared.options
    span = max(prepared.spans, key=lambda s: buffer_bytes(s, 0))
    images = min(span.stimuli, batch_images(span.layers, options.memory_bytes, options.batch_size))
    batch = images * widest_module(module, preprocessing.size)
    buffers = min(2, len(prepared.spans)) * 4 * span.units * span.stimuli
    copies = 1 if prepared.network.seed is not None else 2
    running = weights + batch + buffers + _WRITING
    return _resident() + max(copies * weights, running)


def _resident() -> int:
    """Bytes of memory that this process has, or at the worst has had."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

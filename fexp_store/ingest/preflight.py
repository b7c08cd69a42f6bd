"""Before an ingest: what it will run and store, and what memory and disk it needs."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from fexp_store import schemas
from fexp_store.ingest.buffers import CHUNK_BYTES, WRITING_BYTES, room
from fexp_store.ingest.request import Prepared
from fexp_store.warehouse import Warehouse, space

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
        Most bytes of memory that the buffers of activations take at a time.
    scratch_bytes : int
        Most bytes that scratch files take at a time, beside `disk_bytes`.
    free_bytes : int
        Free bytes of the disk.
    """

    stimuli: int
    fragments: int
    raw_bytes: int
    disk_bytes: int
    buffer_bytes: int
    scratch_bytes: int
    free_bytes: int


def preflight(wh: Warehouse, prepared: Prepared) -> Preflight:
    """Say what an ingest will do, without running anything."""
    query = schemas.sql("queries")["stored_ratios"]
    stored = wh.frame(query, network=prepared.network.network)
    ratios = dict(stored.select("layer", "ratio").iter_rows())
    plan = prepared.plan
    on_disk = sum(
        raw * ratios.get(layer.name, _UNKNOWN_RATIO) for layer, raw in plan.raw_bytes.items()
    )
    held = min(plan.open_bytes, room(prepared.options.memory_bytes))
    return Preflight(
        stimuli=plan.stimuli,
        fragments=plan.fragments,
        raw_bytes=sum(plan.raw_bytes.values()),
        disk_bytes=round(on_disk),
        buffer_bytes=held,
        scratch_bytes=plan.open_bytes - held,
        free_bytes=wh.storage.free(),
    )


def check_disk(wh: Warehouse, found: Preflight) -> None:
    """Refuse an ingest that the disk cannot hold.

    Raises
    ------
    FexpError
        If more bytes are expected than are free.
    """
    elsewhere = wh.storage.scratch_free()
    needed = found.disk_bytes + (found.scratch_bytes if elsewhere is None else 0)
    advice = "free some space, take fewer layers, or"
    space.demand(wh.storage, needed, "this", f"{advice} --keep-bits", free=found.free_bytes)
    if elsewhere is not None:
        space.compare(
            "FEXP_SCRATCH", elsewhere, found.scratch_bytes, "this", f"{advice} give more --memory"
        )


def peak_memory(wh: Warehouse, prepared: Prepared) -> int:
    """Predict the peak memory of the process that runs an ingest on the CPU, in bytes.

    The sum of what this process has now, with torch imported; the weights (twice where they come
    from a file, once as the file's arrays); the largest input and output of one module for a
    batch; the buffers of activations; and the row groups that are being written.
    """
    from fexp_store.networks.forward import widest_module
    from fexp_store.networks.registry import meta_module  # imports torch, which counts

    if not prepared.plan:
        return _resident()
    module, preprocessing = meta_module(prepared.network)
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    options, plan = prepared.options, prepared.plan
    images = min(options.batch_size, plan.n_stimuli)
    batch = images * widest_module(module, preprocessing.size, preprocessing.shape[0])
    buffers = min(plan.open_bytes, room(options.memory_bytes)) + CHUNK_BYTES + WRITING_BYTES
    copies = 1 if prepared.network.weights_source.startswith("untrained:") else 2
    return _resident() + max(copies * weights, weights + batch + buffers)


def _resident() -> int:
    """Bytes of memory that this process has, or at the worst has had."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

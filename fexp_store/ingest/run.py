"""Running a network over spans of stimuli while the span before is written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray

from fexp_store.ingest.batches import batches
from fexp_store.ingest.device import Device, Download
from fexp_store.ingest.plan import Span, batch_images
from fexp_store.ingest.request import Prepared
from fexp_store.ingest.write import Writer
from fexp_store.networks.forward import activations
from fexp_store.networks.registry import Network
from fexp_store.progress import Advance
from fexp_store.warehouse.activations.fragment import Fragment


def run_spans(
    prepared: Prepared,
    net: Network,
    device: Device,
    writer: Writer,
    progress: Advance,
) -> list[Fragment]:
    """Run what is missing; each span is written in the background while the next one runs.

    An interruption drops the span that is being filled, and waits for the one being written.

    Returns
    -------
    list of Fragment
        Those that were committed.
    """
    module = device.place(net.module)
    options = prepared.options
    workers = options.workers or min(8, os.cpu_count() or 1)
    written: list[Fragment] = []
    with ThreadPoolExecutor(1, thread_name_prefix="write") as background:
        pending: Future[list[Fragment]] | None = None
        for span in prepared.spans:
            rows = prepared.stimuli[span.start : span.stop]
            n_images = batch_images(span.layers, options.memory_bytes, options.batch_size)
            pixels = batches(writer.storage, rows, net.preprocessing, n_images, workers)
            with closing(pixels):
                buffers = _fill(net, module, device, span, pixels, progress)
            if pending is not None:  # at most two spans are in memory
                written += pending.result()
            pending = background.submit(writer.store, span, buffers)
            del buffers
        if pending is not None:
            written += pending.result()
    return written


def _fill(
    net: Network,
    module: torch.nn.Module,
    device: Device,
    span: Span,
    pixels: Iterable[NDArray[np.uint8]],
    progress: Advance,
) -> dict[str, NDArray[np.float32]]:
    """Return each layer's activations of a span, of shape (n_stimuli, n_units)."""
    paths = {layer.name: net.paths[layer.name] for layer in span.layers}
    buffers = {
        layer.name: np.empty((span.stimuli, layer.units), np.float32) for layer in span.layers
    }
    done = 0
    behind: Download | None = None  # so that a device with its own queue computes while this copies
    with device.arithmetic():
        for batch in pixels:
            rows = {layer: array[done : done + len(batch)] for layer, array in buffers.items()}
            x = net.preprocessing.normalise(device.upload(batch))
            ahead = device.download(activations(module, paths, x, in_place=net.in_place), rows)
            if behind is not None:
                behind.finish()
            behind = ahead
            done += len(batch)
            progress(len(batch))
    if behind is not None:
        behind.finish()
    return buffers

"""One pass over the batches of a plan, while pieces that are full are written in the background."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial

import torch

from fexp_store.ingest.batches import batches
from fexp_store.ingest.buffers import Buffers, room
from fexp_store.ingest.device import Device, Download
from fexp_store.ingest.forward import Forward
from fexp_store.ingest.plan import Batch, Piece
from fexp_store.ingest.request import Prepared
from fexp_store.ingest.write import Writer
from fexp_store.networks.registry import Network
from fexp_store.progress import Advance
from fexp_store.warehouse.activations.fragment import Fragment


def run_pass(
    prepared: Prepared, net: Network, device: Device, writer: Writer, progress: Advance
) -> list[Fragment]:
    """Run what a plan says; each piece is written in the background once it is full.

    An interruption drops the pieces that are being filled, and waits for what is being written.

    Returns
    -------
    list of Fragment
        Those that were committed.
    """
    options, plan = prepared.options, prepared.plan
    workers = options.workers or min(8, os.cpu_count() or 1)
    staging = options.memory_bytes // 8 if device.name == "cuda" else 0
    forward = Forward(net, device, staging)
    # Two batches are staged at a time: one is computed while the one before travels.
    buffers = Buffers(writer.storage, room(options.memory_bytes - 2 * staging))
    rows = (prepared.stimuli[batch.start : batch.stop] for batch in plan.batches())
    pixels = batches(writer.storage, rows, net.preprocessing, workers)
    with (
        closing(buffers),
        ThreadPoolExecutor(1, thread_name_prefix="write") as background,
        closing(pixels),
    ):
        running = _Pass(buffers, writer, background)
        for batch, images in zip(plan.batches(), pixels, strict=True):
            layers = {piece.layer.name for piece in batch.pieces}
            running.sent(batch, forward.run(images, layers, partial(_fill, buffers, batch)))
            progress(len(images))
        return running.end()


class _Pass:
    """What is on its way from the network to the log."""

    def __init__(self, buffers: Buffers, writer: Writer, background: ThreadPoolExecutor) -> None:
        self._buffers, self._writer, self._background = buffers, writer, background
        self._behind: tuple[Batch, list[Download]] | None = None
        self._pending: tuple[Sequence[Piece], Future[list[Fragment]]] | None = None
        self._written: list[Fragment] = []

    def sent(self, batch: Batch, downloads: list[Download]) -> None:
        """Finish the batch before, while this one travels; and this one, if it is there."""
        self._finish()
        self._behind = batch, downloads
        if not any(download.travels for download in downloads):
            self._finish()
        if self._pending is not None and self._pending[1].done():
            self._collect()  # an error is told at once

    def end(self) -> list[Fragment]:
        """Finish everything, and return what was committed."""
        self._finish()
        self._collect()
        return self._written

    def _finish(self) -> None:
        if self._behind is not None:
            batch, downloads = self._behind
            self._behind = None
            for download in downloads:
                download.finish()
            if batch.full:
                self._collect()  # one hand-over is written at a time
                sources = {piece: self._buffers.of(piece) for piece in batch.full}
                self._pending = batch.full, self._background.submit(self._writer.store, sources)

    def _collect(self) -> None:
        if self._pending is not None:
            pieces, stored = self._pending
            self._pending = None
            self._written += stored.result()
            self._buffers.close(pieces)


def _fill(buffers: Buffers, batch: Batch, skip: int, layer: str, response: torch.Tensor) -> None:
    """Put responses to images of a batch, after the first `skip`, into the pieces of a layer."""
    first = batch.start + skip
    for piece in batch.pieces:
        if piece.layer.name != layer:
            continue
        buffer = buffers.of(piece)
        start, end = max(first, piece.start), min(first + len(response), piece.stop)
        for begin in range(start, end, buffer.at_once):
            stop = min(begin + buffer.at_once, end)
            with buffer.filling(begin - piece.start, stop - piece.start) as rows:
                target = torch.from_numpy(rows).view(stop - begin, *response.shape[1:])
                target.copy_(response[begin - first : stop - first])

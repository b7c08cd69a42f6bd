"""One forward pass over what is missing; each span of stimuli becomes one commit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.errors import BadInput, Conflict
from fexp_store.ingest.batches import batches
from fexp_store.ingest.device import Device, Download, choose
from fexp_store.ingest.plan import Span, batch_images, plan
from fexp_store.ingest.write import Writer
from fexp_store.networks import registry
from fexp_store.networks.records import Registered, registered
from fexp_store.networks.registry import Network
from fexp_store.networks.responses import responses
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse, runs, tables
from fexp_store.warehouse.fragments import Fragment, Partition, stored_ranges

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Options:
    """How an ingest runs.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}
    precision : {"fp32", "tf32", "bf16"}
        Arithmetic of the forward pass; part of a fragment's identity.
    batch_size : int
        Images in one forward pass.
    memory : int
        Bytes that buffers of activations may have; the size of fragments follows from it.
    keep_bits : int or None
        Mantissa bits kept of each activation (0–22); None stores all 23, without loss.
    workers : int
        Threads that decode images.
    """

    device: str = "auto"
    precision: str = "fp32"
    batch_size: int = 32
    memory: int = 1 << 30
    keep_bits: int | None = None
    workers: int = min(8, os.cpu_count() or 1)

    def __post_init__(self) -> None:
        if self.keep_bits is not None and not 0 <= self.keep_bits <= 22:
            raise BadInput("keep_bits is a number of mantissa bits from 0 to 22.")
        if self.batch_size < 1 or self.workers < 1 or self.memory < 1:
            raise BadInput("The batch size, the workers and the memory are at least 1.")


@dataclass(frozen=True)
class Ingested:
    """What an ingest did.

    Parameters
    ----------
    stimuli : int
        Stimuli that went through the network; 0 if everything was stored already.
    fragments : int
        Fragments that were committed.
    bytes : int
        Bytes of their files.
    """

    stimuli: int
    fragments: int
    bytes: int


def ingest(
    wh: Warehouse,
    network: str,
    layers: Sequence[str],
    stimulus_set: str,
    options: Options | None = None,
    *,
    started: Callable[[int], Progress] = lambda _total: lambda _n: None,
) -> Ingested:
    """Store the activations of some layers of a network for a stimulus set.

    What is stored already is skipped. Two processes may ingest the same thing at once: every
    activation is stored once. A kill at any moment loses only spans that were not committed.

    Parameters
    ----------
    layers : sequence of str
        Layer names, see ``fexp networks show``; all come from one forward pass.
    options : Options, optional
    started : callable, optional
        Called with the number of stimuli to run if there are any; returns a function that is
        called with the number of stimuli done since its last call.

    Raises
    ------
    NotFound
        If the network, a layer or the stimulus set is not registered.
    BadInput
        If an image or the weights cannot be used.
    Conflict
        If a layer is stored with another precision or other keep_bits.
    """
    options = options or Options()
    row = registered(wh, network)
    wanted = [row.layer(name) for name in dict.fromkeys(layers)]
    stimuli = read_set(wh, stimulus_set).to_dicts()
    device = choose(options.device, options.precision)
    _check_stored_alike(wh, row, layers, stimulus_set, options)
    stored = {
        partition.layer: ranges
        for partition, ranges in stored_ranges(tables.open_table(wh.root, "activations")).items()
        if partition == Partition(network, partition.layer, stimulus_set)
    }
    spans = plan(wanted, stored, len(stimuli), options.memory, options.batch_size)
    if not spans:
        return Ingested(0, 0, 0)
    net = registry.load(wh, row)
    parameters = {"network": network, "layers": list(layers), "stimulus_set": stimulus_set}
    run = runs.begin(wh.root, "ingest", parameters | asdict(options) | {"device": device.name})
    writer = Writer(wh.root, row, stimuli, options.keep_bits, options.precision, run)
    done = _run(wh, net, device, spans, stimuli, options, writer, started)
    runs.record_end(wh.root, run)
    return done


def _run(
    wh: Warehouse,
    net: Network,
    device: Device,
    spans: Sequence[Span],
    stimuli: Sequence[dict[str, Any]],
    options: Options,
    writer: Writer,
    started: Callable[[int], Progress],
) -> Ingested:
    """Run the network over the spans; each is written in the background while the next one runs."""
    module = device.place(net.module)
    progress = started(sum(span.stimuli for span in spans))
    written: list[Fragment] = []
    # An interruption drops the span that is being filled, and waits for the one being written.
    with ThreadPoolExecutor(1, thread_name_prefix="write") as background:
        pending: Future[list[Fragment]] | None = None
        for span in spans:
            rows = stimuli[span.start : span.stop]
            n_images = batch_images(span.layers, options.memory, options.batch_size)
            pixels = batches(wh.root, rows, net.preprocessing, n_images, options.workers)
            with closing(pixels):
                buffers = _fill(net, module, device, span, pixels, progress)
            if pending is not None:  # at most two spans are in memory
                written += pending.result()
            pending = background.submit(writer.store, span, buffers)
            del buffers
        if pending is not None:
            written += pending.result()
    return Ingested(
        sum(span.stimuli for span in spans), len(written), sum(f.bytes for f in written)
    )


def _fill(
    net: Network,
    module: torch.nn.Module,
    device: Device,
    span: Span,
    pixels: Iterable[NDArray[np.uint8]],
    progress: Progress,
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
            ahead = device.download(responses(module, paths, x), rows)
            if behind is not None:
                behind.finish()
            behind = ahead
            done += len(batch)
            progress(len(batch))
    if behind is not None:
        behind.finish()
    return buffers


def _check_stored_alike(
    wh: Warehouse, row: Registered, layers: Sequence[str], stimulus_set: str, options: Options
) -> None:
    """Refuse to mix precisions within one layer: its units would not be comparable."""
    others = wh.frame(
        schemas.sql("queries")["fragments_stored_otherwise"],
        network=row.network,
        layers=list(layers),
        stimulus_set=stimulus_set,
        keep_bits=options.keep_bits,
        precision=options.precision,
    )
    if not others.is_empty():
        layer, keep_bits, precision = others.row(0)
        kept = "all bits" if keep_bits is None else f"{keep_bits} bits"
        raise Conflict(
            f"{row.network} {layer} for {stimulus_set} is stored with precision {precision} and "
            f"{kept} kept; ingest with the same options, or register the set under another name."
        )

"""What an ingest is asked for, checked against what is registered and what is stored."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fexp_store import schemas
from fexp_store.errors import BadInput, Conflict
from fexp_store.ingest.plan import Span, plan
from fexp_store.networks.records import Registered, registered
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse, tables
from fexp_store.warehouse.fragments import Identity, Partition, stored_ranges


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
class Prepared:
    """An ingest that may begin.

    Parameters
    ----------
    network : Registered
    stimuli : list of dict
        All rows of the stimulus set, in order.
    spans : list of Span
        What is missing; empty if everything is stored.
    options : Options
    """

    network: Registered
    stimuli: list[dict[str, Any]]
    spans: list[Span]
    options: Options

    @property
    def stimulus_set(self) -> str:
        """Name of the stimulus set."""
        return str(self.stimuli[0]["stimulus_set"])

    def identity(self, layer: str) -> Identity:
        """Return what determines the content of this layer's fragments, but for the images."""
        return Identity(
            weights_sha256=self.network.weights_sha256,
            architecture=self.network.architecture,
            preprocessing=self.network.preprocessing,
            layer=layer,
            keep_bits=self.options.keep_bits,
            precision=self.options.precision,
        )

    def images(self, start: int, stop: int) -> list[str]:
        """Return the hashes of the images of a range of stimuli."""
        return [row["image_sha256"] for row in self.stimuli[start:stop]]


def prepare(
    wh: Warehouse, network: str, layers: Sequence[str], stimulus_set: str, options: Options
) -> Prepared:
    """Find out what of a layer x stimulus set is missing.

    Raises
    ------
    NotFound
        If the network, a layer or the stimulus set is not registered.
    Conflict
        If a layer is stored with another precision or other keep_bits.
    """
    row = registered(wh, network)
    wanted = [row.layer(name) for name in dict.fromkeys(layers)]
    stimuli = read_set(wh, stimulus_set).to_dicts()
    _check_stored_alike(wh, row, layers, stimulus_set, options)
    stored = {
        partition.layer: ranges
        for partition, ranges in stored_ranges(tables.open_table(wh.root, "activations")).items()
        if partition == Partition(network, partition.layer, stimulus_set)
    }
    spans = plan(wanted, stored, len(stimuli), options.memory, options.batch_size)
    return Prepared(row, stimuli, spans, options)


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

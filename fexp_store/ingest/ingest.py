"""Storing the activations of a network's layers for a stimulus set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fexp_store.errors import FexpError
from fexp_store.ingest.preflight import check_disk, preflight
from fexp_store.ingest.request import Options, Prepared, prepare
from fexp_store.ingest.write import Writer
from fexp_store.options import plain
from fexp_store.progress import Started, silent
from fexp_store.warehouse import Warehouse, runs
from fexp_store.warehouse.activations.fragment import Fragment
from fexp_store.warehouse.networks import has_network

if TYPE_CHECKING:
    from fexp_store.ingest.device import Device
    from fexp_store.networks.registry import Network

BASELINE = "pixels"
"""The network that an ingest registers by itself: the image, as floor of every analysis."""


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
    nonfinite : int
        Activations in them that are not finite.
    """

    stimuli: int
    fragments: int
    bytes: int
    nonfinite: int


def ingest(
    wh: Warehouse,
    network: str,
    layers: Sequence[str],
    stimulus_set: str,
    options: Options | None = None,
    *,
    started: Started = silent,
) -> Ingested:
    """Store the activations of some layers of a network for a stimulus set.

    The network ``pixels`` need not be registered: it has no weights that anybody could bring.

    What is stored already is skipped, and what is missing is run until nothing is. Two processes
    may ingest the same thing at once: every activation is stored once. A kill at any moment loses
    only pieces that were not committed.

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
        If the network, a layer or the stimulus set is not registered, weights or images are not
        on this machine, or what is missing can only be imported.
    BadInput
        If an image or the weights cannot be used, or activations are not finite.
    Conflict
        If a layer is stored with another precision or other keep_bits.
    FexpError
        If the disk is too small, the memory of the device is, or something stays missing.
    """
    if network == BASELINE and not has_network(wh, network):
        from fexp_store.networks import registry
        from fexp_store.networks.records import Options as Network

        registry.add(wh, network, Network())
    prepared = prepare(wh, network, layers, stimulus_set, options or Options())
    if not prepared.plan:
        return Ingested(0, 0, 0, 0)
    # torch takes seconds to import, and what is stored already needs none.
    from fexp_store.ingest.device import choose
    from fexp_store.networks.registry import load

    options = prepared.options
    check_disk(wh, preflight(wh, prepared))
    device = choose(options.device, options.precision)
    net = load(wh, prepared.network)
    key = {"network": network, "layers": list(layers), "stimulus_set": stimulus_set}
    run = runs.begin(wh.storage, "ingest", key, plain(options) | {"device": device.name})
    writer = Writer(wh.storage, prepared, run)
    n_stimuli, written = _run_all(wh, prepared, net, device, writer, started)
    runs.record_end(wh.storage, run)
    return Ingested(
        stimuli=n_stimuli,
        fragments=len(written),
        bytes=sum(fragment.bytes for fragment in written),
        nonfinite=sum(fragment.nonfinite for fragment in written),
    )


def _run_all(
    wh: Warehouse,
    prepared: Prepared,
    net: Network,
    device: Device,
    writer: Writer,
    started: Started,
) -> tuple[int, list[Fragment]]:
    """Make passes over what the newest log lacks until it lacks nothing."""
    from fexp_store.ingest.run import run_pass

    n_stimuli, written = 0, []
    while prepared.plan:
        n_stimuli += prepared.plan.stimuli
        written += run_pass(prepared, net, device, writer, started(prepared.plan.stimuli))
        before = sum(prepared.plan.raw_bytes.values())
        prepared = prepare(
            wh,
            prepared.network.network,
            [layer.name for layer in prepared.plan.missing],
            prepared.stimulus_set,
            prepared.options,
        )
        if sum(prepared.plan.raw_bytes.values()) >= before:
            raise FexpError(_stuck(prepared))
    return n_stimuli, written


def _stuck(prepared: Prepared) -> str:
    piece = next(piece for layer in prepared.plan.missing for piece in prepared.plan.pieces(layer))
    return (
        f"Stimuli {piece.start} to {piece.stop - 1} of {prepared.network.network} "
        f"{piece.layer.name} for {prepared.stimulus_set} are still missing, though they were just "
        "stored; is another program changing the warehouse? Look with: fexp verify"
    )

"""Storing the activations of a network's layers for a stimulus set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fexp_store.ingest.preflight import check_disk, preflight
from fexp_store.ingest.request import Options, prepare
from fexp_store.ingest.write import Writer
from fexp_store.options import plain
from fexp_store.progress import Started, silent
from fexp_store.warehouse import Warehouse, runs


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
    started: Started = silent,
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
    prepared = prepare(wh, network, layers, stimulus_set, options or Options())
    if not prepared.spans:
        return Ingested(0, 0, 0)
    # torch takes seconds to import, and what is stored already needs none.
    from fexp_store.ingest.device import choose
    from fexp_store.ingest.run import run_spans
    from fexp_store.networks.registry import load

    options = prepared.options
    check_disk(wh, preflight(wh, prepared))
    device = choose(options.device, options.precision)
    net = load(wh, prepared.network)
    key = {"network": network, "layers": list(layers), "stimulus_set": stimulus_set}
    run = runs.begin(wh.storage, "ingest", key, plain(options) | {"device": device.name})
    n_stimuli = sum(span.stimuli for span in prepared.spans)
    writer = Writer(wh.storage, prepared, run)
    written = run_spans(prepared, net, device, writer, started(n_stimuli))
    runs.record_end(wh.storage, run)
    return Ingested(n_stimuli, len(written), sum(fragment.bytes for fragment in written))

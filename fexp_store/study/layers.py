"""The layers of a network of a study, which may be asked for by pattern before it is registered."""

from __future__ import annotations

from fexp_store.errors import BadInput, NotFound
from fexp_store.ingest.request import chosen_layers
from fexp_store.networks import records
from fexp_store.study.file import DeclaredNetwork
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import (
    choose_layers,
    has_network,
    is_pattern,
    registered,
    said_of_layers,
)


def layers_of(wh: Warehouse, network: DeclaredNetwork) -> list[str]:
    """Return the layers that a study names, each once, as `choose_layers` orders them.

    Raises
    ------
    NotFound
        If something matches no layer of the network, as it is registered or will be.
    """
    if has_network(wh, network.name):
        return chosen_layers(registered(wh, network.name), network.layers)
    if not any(map(is_pattern, network.layers)):
        return list(dict.fromkeys(network.layers))
    known = _layers_to_be(network.name, network.options)
    chosen, unmatched = choose_layers(known, network.layers)
    if unmatched:
        said = said_of_layers(network.name, known)
        raise NotFound(f"{network.name} has no layer that matches {unmatched[0]!r}; {said}.")
    return chosen


def check_layers(wh: Warehouse, network: DeclaredNetwork) -> None:
    """Check that a network has the layers that a study names, or will have them.

    Raises
    ------
    BadInput
        If it has not.
    """
    chosen = layers_of(wh, network)
    if not has_network(wh, network.name):
        known = _names_to_be(network.name, network.options)
        for layer in chosen:
            if layer not in known and layer.removesuffix(":pre") not in known:
                raise BadInput(f"{network.name} has no layer {layer!r}.")


def _names_to_be(name: str, options: records.Options) -> list[str]:
    from fexp_store.networks.architectures import architecture

    options.check()
    _check_not_own(name, options)
    if options.weights is not None and not options.weights.is_file():
        raise NotFound(f"The weights file {options.weights.name} does not exist.")
    return list(architecture(options.architecture or name).layers)


def _layers_to_be(name: str, options: records.Options) -> list[str]:
    """Return the layers that can be stored of a network with all of its layers."""
    from fexp_store.networks.architectures import architecture
    from fexp_store.networks.families import fields_given
    from fexp_store.networks.meta import built_on_meta
    from fexp_store.networks.survey import survey

    _check_not_own(name, options)
    arch = architecture(options.architecture or name)
    preprocessing = arch.start(fields_given(options.preprocessing))
    channels, size, _ = preprocessing.shape
    found = survey(built_on_meta(arch.build), arch.layers, size, channels)
    return [layer.name for layer in found.layers]


def _check_not_own(name: str, options: records.Options) -> None:
    """Refuse to run a file of Python, since a study may be somebody else's."""
    from fexp_store.networks.architectures.own_file import is_own

    wanted = options.architecture or name
    if is_own(wanted):
        raise NotFound(
            "A study runs no file of Python that registers a network; read it, and register it "
            f"first: fexp networks add {name} --architecture {wanted}"
        )

"""Registering networks in a warehouse, and building them again from what is registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.architecture import Architecture
from fexp_store.networks.architectures import architecture
from fexp_store.networks.deciding import Built, channels_given, input_of, origins_json, training_of
from fexp_store.networks.initialise import initialise, weights_sha256
from fexp_store.networks.meta import built_on_meta, on_meta
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.records import Options
from fexp_store.networks.survey import survey
from fexp_store.networks.weights.fitting import remove
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.names import check_name
from fexp_store.warehouse.networks import (
    Registered,
    has_network,
    layers_json,
    register,
    registered,
)

_WEIGHTS = "weights"  # machine-local record of where the weights file of each network is


@dataclass(frozen=True)
class Network:
    """A network ready to run.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    paths : mapping of str to str
        Layer name -> path of the module whose output it is.
    preprocessing : Preprocessing
    """

    module: nn.Module
    paths: Mapping[str, str]
    preprocessing: Preprocessing


def add(wh: Warehouse, name: str, options: Options) -> bool:
    """Register a network under a short name.

    Returns
    -------
    bool
        False if this very network was registered under this name before.

    Raises
    ------
    BadInput
        If the weights cannot be used, or weights are given for an untrained network.
    Conflict
        If the name is taken by a network with other content.
    """
    check_name("network", name)
    check_name("group of networks", options.group or name)
    arch = architecture(options.architecture or name)
    if options.weights is not None and options.untrained:
        raise BadInput("A network is untrained or has a weights file, not both.")
    drawn = (options.seed, options.init) if options.untrained else None
    built = _build(arch, options.weights, drawn, channels_given(options.preprocessing))
    taken = input_of(arch, built, options)
    preprocessing = taken.preprocessing
    if has_network(wh, name):
        preprocessing = preprocessing.as_stored(registered(wh, name).preprocessing)
    training = training_of(arch, built, options)
    row = Registered(
        network=name,
        network_group=options.group or name,
        architecture=arch.name,
        training=training.value,
        weights_source=built.source,
        weights_sha256=weights_sha256(built.module.state_dict()),
        seed=drawn[0] if drawn else None,
        preprocessing=preprocessing.to_json(),
        layers=_layers_json(arch, built, preprocessing),
        licence=options.licence,
        citation=options.citation,
        origins=origins_json(taken, training, built.found),
    )
    new = register(wh.storage, row)
    if options.weights is not None:
        wh.storage.update_local(_WEIGHTS, name, str(options.weights.resolve()))
    return new


def load(wh: Warehouse, row: Registered) -> Network:
    """Build a registered network and set its weights.

    Raises
    ------
    BadInput
        If the weights are not those that were registered.
    NotFound
        If they are not on this machine.
    """
    arch = architecture(row.architecture)
    kind, _, detail = row.weights_source.partition(":")
    drawn = weights = None
    if kind == "untrained":
        drawn = (int(row.seed or 0), detail)
    elif kind == "file":
        weights = _weights_path(wh, row, detail)
    preprocessing = Preprocessing.from_json(row.preprocessing)
    module = _build(arch, weights, drawn, preprocessing.channels).module
    if weights_sha256(module.state_dict()) != row.weights_sha256:
        raise BadInput(
            f"The weights found for {row.network} are not those it was registered with; "
            "restore the file, or register them under another name."
        )
    return Network(module, arch.layers, preprocessing)


def meta_module(row: Registered) -> tuple[nn.Module, Preprocessing]:
    """Build a registered network without memory or weights, to ask it for shapes."""
    arch = architecture(row.architecture)
    module = built_on_meta(arch.build)
    known = {arch.layers[name] for name in row.all_layers() if name in arch.layers}
    last = max((at for at, path in enumerate(arch.layers.values()) if path in known), default=-1)
    parts = dict(module.named_modules())
    remove(module, [p for p in list(arch.layers.values())[last + 1 :] if _is_leaf(parts.get(p))])
    return module, Preprocessing.from_json(row.preprocessing)


def _is_leaf(part: nn.Module | None) -> bool:
    return part is not None and not [*part.children()]


def _weights_path(wh: Warehouse, row: Registered, file: str) -> Path:
    known = wh.storage.read_local(_WEIGHTS).get(row.network)
    if known is None or not Path(known).is_file():
        raise NotFound(
            f"The weights file {file} of {row.network} is not on this machine; say where it is: "
            f"fexp networks add {row.network} --architecture {row.architecture} --weights {file}"
        )
    return Path(known)


def _build(
    arch: Architecture, weights: Path | None, drawn: tuple[int, str] | None, channels: str
) -> Built:
    """Build a module with its weights, drawn by seed and scheme or read."""
    module = arch.build()
    if drawn is not None:
        seed, init = drawn
        initialise(module, init, seed)
        return Built(module.eval().requires_grad_(requires_grad=False), f"untrained:{init}")
    if weights is None:
        if arch.published is None:
            raise BadInput(
                f"No package ships weights for {arch.name}: give a file with --weights, "
                "or register it --untrained."
            )
        path, source = arch.published.path(), arch.published.source
    else:
        path, source = weights, f"file:{weights.name}"
    found = arch.read_weights(path, module, channels=channels)
    module.eval().requires_grad_(requires_grad=False)
    return Built(module, source, found if weights is not None else None)


def _layers_json(arch: Architecture, built: Built, preprocessing: Preprocessing) -> str:
    skeleton = on_meta(built.module)
    modules = {path for path, _ in skeleton.named_modules()}
    paths = {layer: path for layer, path in arch.layers.items() if path in modules}
    channels, size, _ = preprocessing.shape
    return layers_json(survey(skeleton, paths, size, channels).layers)

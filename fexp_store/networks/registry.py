"""Registering networks in a warehouse, and building them again from what is registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fexp_store.errors import BadInput, Conflict, NotFound
from fexp_store.networks.architecture import Architecture
from fexp_store.networks.architectures import architecture, in_memory, own_file
from fexp_store.networks.drawn import keep, kept
from fexp_store.networks.forward import layer_shapes
from fexp_store.networks.initialise import initialise, permute, weights_sha256
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.records import Options
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.names import check_name
from fexp_store.warehouse.networks import (
    Layer,
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
    channels_last : bool
        Whether its modules can take what has its channels last in memory.
    """

    module: nn.Module
    paths: Mapping[str, str]
    preprocessing: Preprocessing
    channels_last: bool = True


def add(wh: Warehouse, name: str, options: Options) -> bool:
    """Register a network under a short name, or with `seeds` a group of them under its names.

    Networks of a group that are there already are left alone.

    Returns
    -------
    bool
        False if this very network, or all of the group, was registered under this name before.

    Raises
    ------
    BadInput
        If the weights cannot be used, or weights are given for an untrained network.
    Conflict
        If the name is taken by a network with other content.
    """
    options.check()
    if options.seeds is None:
        return _add_one(wh, name, options)
    members = options.members(name)
    for member in members:
        check_name("network", member)
    # More than the user's cache holds would be written to it: a member is kept when it first runs.
    new = [_add_missing(wh, *member) for member in members.items()]
    return any(new)


def _add_one(wh: Warehouse, name: str, options: Options, *, keeping: bool = True) -> bool:
    check_name("network", name)
    check_name("group of networks", options.group or name)
    wanted = options.architecture or name
    if not own_file.is_own(wanted):
        return add_architecture(wh, name, architecture(wanted), options, keeping=keeping)
    arch = own_file.given(wanted)
    new = add_architecture(wh, name, arch, options, keeping=keeping)
    own_file.remember(arch)
    return new


def add_module(
    wh: Warehouse,
    name: str,
    module: nn.Module,
    preprocessing: Preprocessing | Mapping[str, Any],
    options: Options,
    training: str | None,
) -> bool:
    """Register a module of this process, as `fexp_store.networks.add` describes it."""
    check_name("network", name)
    check_name("group of networks", options.group or name)
    arch = in_memory.given(module, preprocessing, training)
    new = add_architecture(wh, name, arch, options)
    in_memory.keep(arch, registered(wh, name))
    return new


def add_architecture(
    wh: Warehouse, name: str, arch: Architecture, options: Options, *, keeping: bool = True
) -> bool:
    """Register a network of an architecture, whatever the options call it; see `add`."""
    changed = arch.preprocessing_with(options.preprocessing)
    if has_network(wh, name):
        changed = changed.as_stored(registered(wh, name).preprocessing)
    drawn = (options.seed, options.init) if options.untrained else None
    module, source = _build(arch, options.weights, drawn)
    if source == arch.code and _sha256(arch, arch.build()) != _sha256(arch, module):
        raise BadInput(
            f"{arch.name.partition('@')[0]} gives other weights each time: seed it, for example "
            "with torch.manual_seed(0), or give --weights."
        )
    if (drawn or options.permuted) and not module.state_dict():
        raise BadInput(f"{arch.name} has no weights to draw or to shuffle; add it as it is.")
    if options.permuted:
        permute(module, options.seed)
        source = f"permuted:{source}"
    digest = _sha256(arch, module)
    row = Registered(
        network=name,
        network_group=options.group or name,
        architecture=arch.name,
        training="none" if drawn or options.permuted else arch.training,
        weights_source=source,
        weights_sha256=digest,
        seed=options.seed if drawn or options.permuted else None,
        preprocessing=changed.to_json(),
        layers=_layers_json(arch, module, changed),
        licence=options.licence,
        citation=options.citation,
    )
    new = register(wh.storage, row)
    if drawn is not None and keeping:
        keep(module, _how_drawn(row), digest)
    if options.weights is not None:
        wh.storage.update_local(_WEIGHTS, name, str(options.weights.resolve()))
    return new


def _add_missing(wh: Warehouse, name: str, options: Options) -> bool:
    """Register a network of a group, unless it is there: what is drawn the same way is the same."""
    if not has_network(wh, name):
        return _add_one(wh, name, options, keeping=False)
    row = registered(wh, name)
    source = row.weights_source.startswith("permuted:" if options.permuted else "untrained:")
    wanted = options.architecture or ""
    alike = row.architecture == wanted or own_file.is_same(wanted, row.architecture)
    same = (row.seed, row.network_group) == (options.seed, options.group)
    if not (source and alike and same):
        raise Conflict(
            f"A network {name} with other content is registered already; networks never change, "
            "so choose another name for the group."
        )
    return False


def load(wh: Warehouse, row: Registered) -> Network:
    """Build a registered network and set its weights.

    Raises
    ------
    BadInput
        If the weights are not those that were registered.
    NotFound
        If they are not on this machine.
    """
    arch = _architecture_of(row)
    source = row.weights_source.removeprefix("permuted:")
    kind, _, detail = source.partition(":")
    drawn = weights = None
    if kind == "untrained":
        drawn = (int(row.seed or 0), detail)
    elif kind == "file":
        weights = _weights_path(wh, row, detail)
    module = kept(arch.build, _how_drawn(row), row.weights_sha256) if drawn is not None else None
    if module is None:
        module, _ = _build(arch, weights, drawn)
        if source != row.weights_source:
            permute(module, int(row.seed or 0))
        _check_weights(arch, module, row)
        if drawn is not None:
            keep(module, _how_drawn(row), row.weights_sha256)
    preprocessing = Preprocessing.from_json(row.preprocessing)
    return Network(module, arch.layers, preprocessing, channels_last=arch.code is None)


def _how_drawn(row: Registered) -> str:
    return f"{row.architecture} {row.weights_source} {row.seed}"


def _check_weights(arch: Architecture, module: nn.Module, row: Registered) -> None:
    if _sha256(arch, module) != row.weights_sha256:
        raise BadInput(
            f"The weights found for {row.network} are not those it was registered with; "
            "restore the file, or register them under another name."
        )


def meta_module(row: Registered) -> tuple[nn.Module, Preprocessing]:
    """Build a registered network, without memory or weights if it is ours, for its shapes."""
    arch = _architecture_of(row)
    module = _skeleton(arch, whole=arch.layers.keys() <= row.all_layers().keys())
    return module, Preprocessing.from_json(row.preprocessing)


def _architecture_of(row: Registered) -> Architecture:
    """Return the architecture of a registered network; code that is not ours is never found here.

    What a warehouse says may be anybody's: see `own_file.stored`.
    """
    if in_memory.is_in_memory(row.architecture):
        return in_memory.kept(row)
    if own_file.is_own(row.architecture):
        return own_file.stored(row.architecture, row.network)
    return architecture(row.architecture)


def _sha256(arch: Architecture, module: nn.Module) -> str:
    with arch.told():
        return weights_sha256(module.state_dict())


def _weights_path(wh: Warehouse, row: Registered, file: str) -> Path:
    known = wh.storage.read_local(_WEIGHTS).get(row.network)
    if known is None or not Path(known).is_file():
        more = f" --permuted --seed {row.seed}" if row.seed is not None else ""
        raise NotFound(
            f"The weights file {file} of {row.network} is not on this machine; say where it is: "
            f"fexp networks add {row.network} --architecture {row.architecture.partition('@')[0]} "
            f"--weights {file}"
            f"{more}"
        )
    return Path(known)


def _build(
    arch: Architecture, weights: Path | None, drawn: tuple[int, str] | None
) -> tuple[nn.Module, str]:
    """Build a module with its weights, drawn by seed and scheme or read; say where from."""
    if drawn is not None:
        seed, init = drawn
        module = arch.build()
        initialise(module, init, seed)
        return module.eval().requires_grad_(requires_grad=False), f"untrained:{init}"
    if weights is None and arch.code is not None:
        return arch.build().eval().requires_grad_(requires_grad=False), arch.code
    if weights is None:
        if arch.published is None:
            module = arch.build()
            if not module.state_dict():
                return module.eval(), "none"
            raise BadInput(
                f"No package ships weights for {arch.name}: give a file with --weights, "
                "or register it --untrained."
            )
        weights, source = arch.published.path(), arch.published.source
    else:
        source = f"file:{weights.name}"
    state = {key: torch.from_numpy(array) for key, array in arch.read_weights(weights).items()}
    module = arch.build()
    if arch.build_convolutions is not None and state.keys() != module.state_dict().keys():
        module = arch.build_convolutions()
    module.load_state_dict(state)
    return module.eval().requires_grad_(requires_grad=False), source


def _layers_json(arch: Architecture, module: nn.Module, preprocessing: Preprocessing) -> str:
    modules = {path for path, _ in module.named_modules()}
    paths = {layer: path for layer, path in arch.layers.items() if path in modules}
    skeleton = module
    if arch.code is None:
        skeleton = _skeleton(arch, whole=len(paths) == len(arch.layers))
    with arch.told():
        shapes = layer_shapes(skeleton, paths, preprocessing.size, preprocessing.shape[0])
    return layers_json(Layer(name, shape) for name, shape in shapes.items())


def _skeleton(arch: Architecture, *, whole: bool) -> nn.Module:
    if arch.code is not None:
        return arch.build().eval()
    build = arch.build if whole or arch.build_convolutions is None else arch.build_convolutions
    return build().to("meta").eval()

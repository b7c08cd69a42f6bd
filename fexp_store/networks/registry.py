"""Registering networks in a warehouse, and building them again from what is registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fexp_store.errors import BadInput, Conflict, NotFound
from fexp_store.networks.architecture import Architecture
from fexp_store.networks.architectures import architecture, in_memory, own_file
from fexp_store.networks.building import Built, Wanted, build, content_hash
from fexp_store.networks.deciding import input_of, origins_json, training_of
from fexp_store.networks.drawn import keep, kept
from fexp_store.networks.families import fields_given
from fexp_store.networks.forward import run_meta
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
    wanted = options.architecture or name
    if not own_file.is_own(wanted):
        return _add_architecture(wh, name, architecture(wanted), options, keeping=keeping)
    arch = own_file.given(wanted)
    new = _add_architecture(wh, name, arch, options, keeping=keeping)
    own_file.remember(arch)
    return new


def add_module(
    wh: Warehouse,
    name: str,
    module: nn.Module,
    preprocessing: Preprocessing | Mapping[str, Any],
    options: Options,
) -> bool:
    """Register a module of this process, as `fexp_store.networks.add` describes it."""
    arch = in_memory.given(module, preprocessing)
    new = _add_architecture(wh, name, arch, options)
    in_memory.keep(arch, registered(wh, name))
    return new


def _add_architecture(
    wh: Warehouse, name: str, arch: Architecture, options: Options, *, keeping: bool = True
) -> bool:
    """Register a network of an architecture, whatever the options call it; see `add`."""
    check_name("network", name)
    check_name("group of networks", options.group or name)
    given = fields_given(options.preprocessing)
    drawn_or_shuffled = options.untrained or options.permuted
    built = build(
        arch,
        Wanted(
            options.weights,
            options.init if options.untrained else None,
            options.permuted,
            options.seed,
            str(given.get("channels", "RGB")),
            arch.start(given).size,
        ),
    )
    digest = content_hash(arch, built.module)
    if built.source == arch.code and content_hash(arch, arch.build()) != digest:
        raise BadInput(
            f"{arch.name.partition('@')[0]} gives other weights each time: seed it, for example "
            "with torch.manual_seed(0), or give --weights."
        )
    taken, training = input_of(arch, built, options), training_of(arch, built, options)
    preprocessing = taken.preprocessing
    if has_network(wh, name):
        preprocessing = preprocessing.as_stored(registered(wh, name).preprocessing)
    row = Registered(
        network=name,
        network_group=options.group or name,
        architecture=arch.name,
        training=training.value,
        weights_source=built.source,
        weights_sha256=digest,
        seed=options.seed if drawn_or_shuffled else None,
        preprocessing=preprocessing.to_json(),
        layers=_layers_json(arch, built, preprocessing),
        licence=options.licence,
        citation=options.citation,
        origins=origins_json(taken, training, built.found),
    )
    new = register(wh.storage, row)
    if options.untrained and keeping and arch.code is None:
        keep(built.module, _how_drawn(row), digest)
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
    arch = architecture_of(row)
    preprocessing = Preprocessing.from_json(row.preprocessing)
    source = row.weights_source.removeprefix("permuted:")
    kind, _, detail = source.partition(":")
    ours = arch.code is None
    module = None
    if kind == "untrained" and ours:
        module = kept(arch.build, _how_drawn(row), row.weights_sha256)
    if module is None:
        wanted = Wanted(
            _weights_path(wh, row, detail) if kind == "file" else None,
            detail if kind == "untrained" else None,
            source != row.weights_source,
            int(row.seed or 0),
            preprocessing.channels,
            preprocessing.size,
        )
        module = build(arch, wanted).module
        if content_hash(arch, module) != row.weights_sha256:
            raise BadInput(
                f"The weights found for {row.network} are not those it was registered with; "
                "restore the file, or register them under another name."
            )
        if kind == "untrained" and ours:
            keep(module, _how_drawn(row), row.weights_sha256)
    return Network(module, arch.layers, preprocessing, channels_last=arch.channels_last)


def _how_drawn(row: Registered) -> str:
    return f"{row.architecture} {row.weights_source} {row.seed}"


def meta_module(row: Registered) -> tuple[nn.Module, Preprocessing]:
    """Build a registered network, without memory or weights if it is ours, for its shapes."""
    arch = architecture_of(row)
    preprocessing = Preprocessing.from_json(row.preprocessing)
    if arch.code is not None:
        return arch.build().eval(), preprocessing
    module = built_on_meta(arch.build)
    known = {arch.layers[name] for name in row.all_layers() if name in arch.layers}
    last = max((at for at, path in enumerate(arch.layers.values()) if path in known), default=-1)
    parts = dict(module.named_modules())
    remove(module, [p for p in list(arch.layers.values())[last + 1 :] if _is_leaf(parts.get(p))])
    return module, preprocessing


def _is_leaf(part: nn.Module | None) -> bool:
    return part is not None and not [*part.children()]


def architecture_of(row: Registered) -> Architecture:
    """Return the architecture of a registered network; code that is not ours is never found here.

    What a warehouse says may be anybody's: see `own_file.stored`.
    """
    if in_memory.is_in_memory(row.architecture):
        return in_memory.kept(row)
    if own_file.is_own(row.architecture):
        return own_file.stored(row.architecture, row.network)
    return architecture(row.architecture)


def _weights_path(wh: Warehouse, row: Registered, file: str) -> Path:
    known = wh.storage.read_local(_WEIGHTS).get(row.network)
    if known is None or not Path(known).is_file():
        more = f" --permuted --seed {row.seed}" if row.seed is not None else ""
        raise NotFound(
            f"The weights file {file} of {row.network} is not on this machine; say where it is: "
            f"fexp networks add {row.network} --architecture {row.architecture.partition('@')[0]} "
            f"--weights {file}{more}"
        )
    return Path(known)


def _layers_json(arch: Architecture, built: Built, preprocessing: Preprocessing) -> str:
    skeleton = built.module if arch.code is not None else on_meta(built.module)
    modules = {path for path, _ in skeleton.named_modules()}
    paths = {layer: path for layer, path in arch.layers.items() if path in modules}
    channels, size, _ = preprocessing.shape
    with arch.told():
        if arch.code is not None:
            run_meta(skeleton, (1, channels, size, size))  # what goes wrong in it is told as it is
        return layers_json(survey(skeleton, paths, size, channels).layers)

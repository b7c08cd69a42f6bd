"""Registering networks in a warehouse, and building them again from what is registered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import nn

from fexp_store.errors import BadInput, Conflict
from fexp_store.networks.architecture import Architecture
from fexp_store.networks.architectures import architecture
from fexp_store.networks.forward import layer_shapes
from fexp_store.networks.initialise import initialise, weights_sha256
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.records import Layer, Registered
from fexp_store.warehouse import Warehouse, tables
from fexp_store.warehouse.files import read_local, update_local
from fexp_store.warehouse.names import check_name

_WEIGHTS = "weights"  # machine-local record of where the weights file of each network is
_SCHEMA_OVERRIDES = {"seed": pl.Int64}


@dataclass(frozen=True)
class Untrained:
    """Weights that are drawn, not learned.

    Parameters
    ----------
    seed : int
    init : str
        See `fexp_store.networks.initialise.initialise`. The study does not say which scheme its
        untrained network has; ``kaiming_normal`` keeps the variance of activations from layer to
        layer under ReLU, and is our choice.
    """

    seed: int = 0
    init: str = "kaiming_normal"


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
    in_place : bool
        See `fexp_store.networks.architecture.Architecture`.
    """

    module: nn.Module
    paths: Mapping[str, str]
    preprocessing: Preprocessing
    in_place: bool


def add(
    wh: Warehouse,
    name: str,
    architecture_name: str,
    *,
    weights: Path | None = None,
    untrained: Untrained | None = None,
    group: str | None = None,
    preprocessing: Mapping[str, Any] | None = None,
) -> bool:
    """Register a network under a short name.

    Parameters
    ----------
    architecture_name : str
        See `fexp_store.networks.architectures.ARCHITECTURES`.
    weights : Path, optional
        Weights file; by default the one that the architecture's package ships.
    untrained : Untrained, optional
        Draw the weights instead.
    group : str, optional
        Name shared by replicates; by default the network's own name.
    preprocessing : mapping, optional
        Fields of the architecture's `Preprocessing` to change, for example ``{"size": 160}``.

    Returns
    -------
    bool
        False if this very network was registered under this name before.

    Raises
    ------
    BadInput
        If the weights cannot be used, or both `weights` and `untrained` are given.
    Conflict
        If the name is taken by a network with other content.
    """
    check_name("network", name)
    check_name("group of networks", group or name)
    arch = architecture(architecture_name)
    if weights is not None and untrained is not None:
        raise BadInput("A network is untrained or has a weights file, not both.")
    changed = arch.preprocessing.changed(preprocessing or {})
    module, source = _build(arch, weights, untrained)
    row = Registered(
        network=name,
        network_group=group or name,
        architecture=arch.name,
        training="none" if untrained else arch.training,
        weights_source=source,
        weights_sha256=weights_sha256(module.state_dict()),
        seed=untrained.seed if untrained else None,
        preprocessing=changed.to_json(),
        layers=_layers_json(arch, module, changed.size),
    )
    new = _append(wh, row)
    if weights is not None:
        update_local(wh.root, _WEIGHTS, name, str(weights.resolve()))
    return new


def load(wh: Warehouse, row: Registered) -> Network:
    """Build a registered network and set its weights.

    Raises
    ------
    BadInput
        If the weights are not on this machine, or are not those that were registered.
    """
    arch = architecture(row.architecture)
    kind, _, detail = row.weights_source.partition(":")
    untrained = weights = None
    if kind == "untrained":
        untrained = Untrained(int(row.seed or 0), detail)
    elif kind == "file":
        weights = _weights_path(wh, row, detail)
    module, _ = _build(arch, weights, untrained)
    if weights_sha256(module.state_dict()) != row.weights_sha256:
        raise BadInput(
            f"The weights found for {row.network} are not those it was registered with; "
            "restore the file, or register them under another name."
        )
    preprocessing = Preprocessing.from_json(row.preprocessing)
    return Network(module, arch.layers, preprocessing, arch.in_place)


def meta_module(row: Registered) -> tuple[nn.Module, Preprocessing]:
    """Build a registered network without memory or weights, to ask it for shapes."""
    arch = architecture(row.architecture)
    module = _skeleton(arch, whole=arch.layers.keys() <= row.all_layers().keys())
    return module, Preprocessing.from_json(row.preprocessing)


def _weights_path(wh: Warehouse, row: Registered, file: str) -> Path:
    known = read_local(wh.root, _WEIGHTS).get(row.network)
    if known is None or not Path(known).is_file():
        raise BadInput(
            f"The weights file {file} of {row.network} is not on this machine; say where it is: "
            f"fexp networks add {row.network} --architecture {row.architecture} --weights {file}"
        )
    return Path(known)


def _build(
    arch: Architecture, weights: Path | None, untrained: Untrained | None
) -> tuple[nn.Module, str]:
    """Build a module with its weights, and say where they came from."""
    if untrained is not None:
        module = arch.build()
        initialise(module, untrained.init, untrained.seed)
        return module.eval().requires_grad_(requires_grad=False), f"untrained:{untrained.init}"
    if weights is None:
        if arch.published is None:
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


def _layers_json(arch: Architecture, module: nn.Module, size: int) -> str:
    modules = {path for path, _ in module.named_modules()}
    paths = {layer: path for layer, path in arch.layers.items() if path in modules}
    skeleton = _skeleton(arch, whole=len(paths) == len(arch.layers))
    shapes = layer_shapes(skeleton, paths, size)
    return json.dumps([asdict(Layer(name, shape)) for name, shape in shapes.items()])


def _skeleton(arch: Architecture, *, whole: bool) -> nn.Module:
    build = arch.build if whole or arch.build_convolutions is None else arch.build_convolutions
    return build().to("meta").eval()


def _append(wh: Warehouse, row: Registered) -> bool:
    def taken() -> bool:
        stored = tables.read(wh.storage, "networks").filter(network=row.network)
        if stored.is_empty():
            return False
        previous = Registered(**stored.drop("created", "licence", "citation").row(0, named=True))
        # The same weights in another file are the same network.
        if replace(previous, weights_source=row.weights_source) != row:
            raise Conflict(
                f"A network {row.network} with other content is registered already; "
                "networks never change, so choose another name."
            )
        return True

    frame = pl.DataFrame([asdict(row)], schema_overrides=_SCHEMA_OVERRIDES)
    frame = frame.with_columns(pl.lit(datetime.now(UTC)).alias("created"))
    return tables.append(wh.storage, "networks", frame, key=f"networks/{row.network}", unless=taken)

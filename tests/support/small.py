"""The small network of the kills, and what can be put into it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.kills import allow_small_network
from fexp_store import Warehouse
from fexp_store.networks import registry
from fexp_store.networks.architectures import ARCHITECTURES
from fexp_store.networks.records import Options
from fexp_store.stimuli.photographs.add import add_manifest
from support.writing import write_photographs

UNTRAINED = Options(architecture="dlib_face", untrained=True, seed=3)


def add_small(wh: Warehouse, directory: Path, patch: pytest.MonkeyPatch, people: int = 3) -> None:
    """Add a set1 of people x 6 expressions, and the untrained network that takes no time."""
    patch.setitem(ARCHITECTURES, "small", None)  # type: ignore[arg-type]  # taken away afterwards
    allow_small_network()
    add_manifest(wh, "set1", write_photographs(directory / "photographs", people, side=32))
    registry.add(wh, "small", Options(untrained=True))


def insert_module(patch: pytest.MonkeyPatch, place: int, module: torch.nn.Module) -> None:
    """Have networks loaded with one more module: what it puts out is the layer before it."""
    load = registry.load

    def loaded(*arguments: object) -> registry.Network:
        net = load(*arguments)  # type: ignore[arg-type]  # passed on
        net.module.insert(place, module)  # type: ignore[operator]  # it is a Sequential
        paths = {
            layer: path if int(path) < place - 1 else str(int(path) + 1)
            for layer, path in net.paths.items()
        }
        return registry.Network(net.module, paths, net.preprocessing)

    patch.setattr(registry, "load", loaded)

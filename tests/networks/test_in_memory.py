"""A module that is added from Python: what is run is a copy of it, and only in this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from support.direct import assert_close
from support.libraries import outputs, write_sizes
from support.writing import state
from torch import nn

from fexp_store import BadInput, Conflict, NotFound, Warehouse, networks
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.architectures import in_memory
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.networks import registered

FIELDS = {"size": 48, "resize": 60, "mean": [127.5, 120, 110], "std": [60, 61.5, 70]}


class Own(nn.Module):
    """Something of what is special about others' modules."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 7, stride=4)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleDict({"a": nn.Conv2d(5, 4, 3), "b": nn.Conv2d(5, 4, 3)})
        self.last = nn.Linear(4 * 9 * 9, 3)
        self.steps = torch.ones(4, 1, 1)  # no buffer, so it would stay behind on another device

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(torch.relu(self.first(x)))
        if x.mean() > -1:  # decided by data, which the meta device cannot
            x = self.blocks["b"](x) * self.steps
        return self.last(x.view(len(x), -1))


@pytest.fixture
def module() -> Own:
    torch.manual_seed(3)
    return Own()


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be another process."""
    monkeypatch.setattr(in_memory, "_held", {})


@pytest.mark.slow
def test_what_is_stored_is_what_the_module_computes(
    empty: Warehouse, module: Own, tmp_path: Path
) -> None:
    manifest = write_sizes(tmp_path / "sizes")
    add_manifest(empty, "sizes", manifest)
    assert networks.add(empty, "own", module, preprocessing=FIELDS, training="faces")
    layers = ("first", "blocks.b", "last")
    assert set(registered(empty, "own").all_layers()) == {*layers, "drop"}  # a was not run
    assert registered(empty, "own").training == "faces"
    ingest(empty, "own", layers, "sizes")
    t = torchvision.transforms
    mean, std = (np.array(FIELDS[key]) / 255 for key in ("mean", "std"))
    transform = t.Compose([t.Resize(60), t.CenterCrop(48), t.ToTensor(), t.Normalize(mean, std)])
    direct = outputs(module.eval(), layers, transform, manifest)
    for layer in layers:
        assert_close(empty.matrix("own", layer, "sizes").values, direct[layer], layer)


def test_the_module_is_left_as_it_is_and_what_was_added_too(empty: Warehouse, module: Own) -> None:
    networks.add(empty, "own", module, preprocessing=FIELDS)
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    before = module.last.weight.detach().clone()
    with torch.no_grad():
        module.last.weight.add_(1)
    loaded = registry.load(empty, registered(empty, "own")).module
    assert not loaded.training
    assert torch.equal(loaded.get_parameter("last.weight"), before)
    with pytest.raises(Conflict, match="of another weights_sha256"):
        networks.add(empty, "own", module, preprocessing=FIELDS)
    assert networks.add(empty, "later", module, preprocessing=FIELDS)


def test_in_another_process_the_same_module_is_asked_for(
    empty: Warehouse, module: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks.add(empty, "own", module, preprocessing=FIELDS)
    forget(monkeypatch)
    row = registered(empty, "own")
    with pytest.raises(
        NotFound, match=r"add the same module here again: fexp_store\.networks\.add"
    ):
        registry.load(empty, row)
    assert not networks.add(empty, "own", module, preprocessing=FIELDS)
    assert registry.load(empty, row).module is not module


class Other(Own):
    """Of the same weights and structure, and computes something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -super().forward(x)


def test_the_same_weights_in_another_module_are_another_network(
    empty: Warehouse, module: Own
) -> None:
    networks.add(empty, "own", module, preprocessing=FIELDS)
    for other in (Other(), Own(dropout=0.25)):
        other.load_state_dict(module.state_dict())
        with pytest.raises(Conflict, match="of another architecture"):
            networks.add(empty, "own", other, preprocessing=FIELDS)
    with pytest.raises(Conflict, match="of another preprocessing"):
        networks.add(empty, "own", module, preprocessing={**FIELDS, "resize": 48})
    name = registered(empty, "own").architecture
    assert name.startswith(f"python:{__name__}.Own@")


def test_wrappers_of_how_a_module_runs_are_taken_off(empty: Warehouse, module: Own) -> None:
    networks.add(empty, "own", module, preprocessing=FIELDS)
    assert not networks.add(empty, "own", nn.DataParallel(module), preprocessing=FIELDS)
    assert not networks.add(empty, "own", torch.compile(module), preprocessing=FIELDS)


class Broken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("left")


REFUSED = {
    "no module": (3, FIELDS, r"A network is an nn\.Module, not a int\."),
    "no preprocessing": (nn.Conv2d(3, 1, 3), {}, "say it with size, mean, std"),
    "an error": (nn.Sequential(Broken()), FIELDS, r"cannot be used as it is: KeyError: 'left'\."),
    "other channels": (nn.Sequential(nn.Conv2d(2, 1, 3)), FIELDS, "to have 2 channels, but got 3"),
    "weights without shapes": (nn.LazyConv2d(3, 3), FIELDS, "cannot be used as it is"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_what_cannot_be_a_network_is_refused_in_one_sentence(kind: str, empty: Warehouse) -> None:
    module, fields, said = REFUSED[kind]
    before = state(empty)
    with pytest.raises(BadInput, match=said) as refused:
        networks.add(empty, "own", module, preprocessing=fields)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    assert state(empty) == before


@pytest.mark.slow
def test_importing_networks_imports_no_torch() -> None:
    code = "import sys, fexp_store.networks; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

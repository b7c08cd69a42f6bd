"""Trained weights that are shuffled within each layer, beside numpy."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fexp_store import BadInput, NotFound, Warehouse
from fexp_store.networks import registry
from fexp_store.networks.initialise import initialise, permute, weights_sha256
from fexp_store.networks.records import Options
from fexp_store.warehouse.networks import registered

PERMUTED = Options(architecture="dlib_face", permuted=True, seed=5)


def model() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 7))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator))
    return module


def test_each_tensor_has_the_same_values_in_the_order_of_its_own_stream() -> None:
    module, before = model(), model().state_dict()
    permute(module, 11)
    after = module.state_dict()
    for name, value in before.items():
        if value.ndim < 2:  # biases, normalisation, running statistics
            assert torch.equal(after[name], value), name
            continue
        words = np.frombuffer(hashlib.sha256(name.encode()).digest(), "<u4").tolist()
        stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence([11, *words])))
        expected = value.numpy().copy().reshape(-1)
        stream.shuffle(expected)
        assert np.array_equal(after[name].numpy().reshape(-1), expected), name
        assert np.array_equal(np.sort(expected), np.sort(value.numpy(), axis=None)), name
        assert np.mean(expected == value.numpy().reshape(-1)) < 0.1, name


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    digests = []
    for seed in (1, 1, 2):
        module = model()
        permute(module, seed)
        digests.append(weights_sha256(module.state_dict()))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_other_types_and_layouts_are_shuffled_too(dtype: torch.dtype) -> None:
    module = nn.Linear(16, 16).to(dtype)
    module.weight = nn.Parameter(module.weight.detach().T)  # not contiguous
    before = module.weight.detach().clone()
    permute(module, 0)
    assert not torch.equal(module.weight, before)
    assert torch.equal(module.weight.flatten().sort().values, before.flatten().sort().values)


def test_a_network_from_a_package_is_permuted_recorded_and_loaded_again(empty: Warehouse) -> None:
    registry.add(empty, "dlib", Options(architecture="dlib_face"))
    assert registry.add(empty, "permuted", PERMUTED)
    assert not registry.add(empty, "permuted", PERMUTED)
    trained, row = registered(empty, "dlib"), registered(empty, "permuted")
    assert (row.training, row.seed) == ("none", 5)
    assert row.weights_source == f"permuted:{trained.weights_source}"
    assert row.weights_sha256 != trained.weights_sha256
    one, other = (registry.load(empty, r).module.state_dict() for r in (trained, row))
    for name, value in one.items():
        assert torch.equal(value.flatten().sort().values, other[name].flatten().sort().values)


def test_the_file_is_needed_again(empty: Warehouse, tmp_path: Path) -> None:
    efficientnet = registry.architecture("efficientnet_lite0").build()
    initialise(efficientnet, "kaiming_normal", 2)
    torch.save(efficientnet.state_dict(), tmp_path / "w.pth")
    how = {"architecture": "efficientnet_lite0", "weights": tmp_path / "w.pth", "permuted": True}
    registry.add(empty, "net", Options(**how, seed=4))
    row = registered(empty, "net")
    assert row.weights_source == "permuted:file:w.pth"
    assert registry.load(empty, row).module is not None
    (tmp_path / "w.pth").unlink()
    with pytest.raises(NotFound, match=r"--weights w\.pth --permuted --seed 4"):
        registry.load(empty, row)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(permuted=True, untrained=True), "untrained or has permuted weights"),
        (Options(architecture="vgg_face", permuted=True), "give a file with --weights"),
    ],
)
def test_what_cannot_be_permuted_is_refused(empty: Warehouse, options: Options, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        registry.add(empty, "net", options)

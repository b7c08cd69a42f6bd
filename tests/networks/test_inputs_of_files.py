"""What a weights file takes as input: known from the file, or asked."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from support import weights_writers
from support.weights_writers import declared, from_weights, narrow_state

from fexp_store import Warehouse
from fexp_store.errors import BadInput
from fexp_store.networks import registry
from fexp_store.networks.architectures import ARCHITECTURES, vgg
from fexp_store.networks.forward import activations
from fexp_store.networks.records import Options
from fexp_store.warehouse.networks import registered

STATE = narrow_state()
MEAN = {"B": 103.939, "G": 116.779, "R": 123.68}


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """``vgg16`` has few channels, so that its files are small."""
    known = replace(declared(STATE), bgr=frozenset({"caffe", "keras.applications"}))
    channels, hidden = (6, 7, 8, 9, 11), 13
    small = replace(
        vgg.VGG16_OBJECT,
        build=lambda: vgg.VGG16(10, channels=channels, hidden=hidden),
        read_weights=partial(vgg._set_weights, known),
    )
    monkeypatch.setitem(ARCHITECTURES, "vgg16", small)


@pytest.fixture
def photograph() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8))


def write_keras_application(path: Path, state: dict, *, top: bool = False) -> None:
    """Write as keras.applications' VGG16 is published: the kernels take BGR."""
    turned = weights_writers.bgr(state)
    names = [name for name in weights_writers.WEIGHTED if top or name.startswith("conv")]
    found = []
    for name in names:
        kernel = weights_writers.channels_last(turned, name)
        if name.startswith("fc"):
            kernel = kernel.reshape(-1, kernel.shape[-1])
        renamed = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}.get(name, name)
        if name.startswith("conv"):
            renamed = f"block{name[4]}_conv{name[6]}"
        found.append((renamed, {"kernel": kernel, "bias": turned[f"{name}.bias"]}))
    with h5py.File(path, "w") as file:
        weights_writers._write_keras(file, found)


def fed_bgr(photograph: Image.Image, layer: str = "conv3_2") -> np.ndarray:
    """Run a network whose kernels take BGR on an image in BGR, less the mean of each channel."""
    model = from_weights(weights_writers.bgr(STATE))
    rgb = np.asarray(photograph, np.float32)
    x = np.stack([rgb[..., i] - MEAN[c] for i, c in ((2, "B"), (1, "G"), (0, "R"))])
    return activations(model, {layer: layer}, torch.from_numpy(x)[None])[layer].numpy()


def ours(wh: Warehouse, name: str, photograph: Image.Image, layer: str = "conv3_2") -> np.ndarray:
    net = registry.load(wh, registered(wh, name))
    x = net.preprocessing.normalise(torch.from_numpy(net.preprocessing.pixels(photograph)[None]))
    return activations(net.module, {layer: layer}, x)[layer].numpy()


def assert_fed_bgr(wh: Warehouse, name: str, photograph: Image.Image) -> None:
    expected, found = fed_bgr(photograph), ours(wh, name, photograph)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("top", [False, True])
def test_keras_applications_is_fed_bgr_less_its_mean(
    top: bool, photograph: Image.Image, empty: Warehouse, tmp_path: Path
) -> None:
    write_keras_application(tmp_path / "w.h5", STATE, top=top)
    registry.add(empty, "vgg16", Options(weights=tmp_path / "w.h5"))
    assert_fed_bgr(empty, "vgg16", photograph)
    row = registered(empty, "vgg16")
    assert ("fc6" in row.all_layers()) == top
    assert "keras.applications" in json.loads(row.origins or "")["preprocessing"]


def test_so_is_a_file_of_caffes_shapes(
    photograph: Image.Image, empty: Warehouse, tmp_path: Path
) -> None:
    weights_writers.WRITERS["caffe_h5"](tmp_path / "w.h5", STATE)
    registry.add(empty, "vgg16", Options(weights=tmp_path / "w.h5"))
    assert_fed_bgr(empty, "vgg16", photograph)


def test_the_mean_is_that_which_a_matconvnet_file_holds(
    photograph: Image.Image, empty: Warehouse, tmp_path: Path
) -> None:
    image = np.array([100.0, 110.0, 120.0], np.float32).reshape(1, 1, 3)
    layers = weights_writers.matconvnet_layers(STATE)
    meta = {"normalization": {"averageImage": image}}
    scipy.io.savemat(tmp_path / "w.mat", {"layers": layers, "meta": meta}, appendmat=False)
    registry.add(empty, "vgg16", Options(weights=tmp_path / "w.mat"))
    preprocessing = json.loads(registered(empty, "vgg16").preprocessing)
    assert preprocessing["mean"] == [100, 110, 120]
    assert (preprocessing["std"], preprocessing["channels"]) == ([1, 1, 1], "RGB")


@pytest.mark.parametrize("layout", ["pytorch_dag", "torch7", "keras_sequential", "matconvnet"])
def test_a_file_that_cannot_tell_is_refused_until_it_is_said(
    layout: str, photograph: Image.Image, empty: Warehouse, tmp_path: Path
) -> None:
    # As a file of a network that was trained on BGR would be.
    state = STATE if layout == "torch7" else weights_writers.bgr(STATE)
    weights_writers.WRITERS[layout](tmp_path / "w", state)
    with pytest.raises(BadInput) as caught:
        registry.add(empty, "vgg16", Options(weights=tmp_path / "w"))
    assert str(caught.value) == (
        f"{tmp_path / 'w'} does not tell what images its network takes; say it with "
        "--preprocessing: torchvision, caffe, matconvnet, vgg_face, keras, or JSON with channels, "
        "mean, std (docs/networks.md describes them)."
    )
    with pytest.raises(BadInput, match="does not tell"):
        registry.add(empty, "vgg16", Options(weights=tmp_path / "w", preprocessing={"size": 224}))
    assert empty.frame("FROM networks").is_empty()
    said = {"like": "caffe", "size": 224}
    registry.add(empty, "vgg16", Options(weights=tmp_path / "w", preprocessing=said))
    assert_fed_bgr(empty, "vgg16", photograph)
    assert "given: channels, mean" in (registered(empty, "vgg16").origins or "")


def test_torchvisions_names_are_torchvisions_input(empty: Warehouse, tmp_path: Path) -> None:
    names = {name: alias for alias, (name, of) in vgg._aliases() if of == "torchvision"}
    state = {
        f"{names[layer]}.{kind}": torch.from_numpy(values)
        for key, values in STATE.items()
        for layer, kind in [key.split(".")]
    }
    torch.save(state, tmp_path / "w.pth")
    registry.add(empty, "vgg16", Options(weights=tmp_path / "w.pth"))
    row = registered(empty, "vgg16")
    assert row.preprocessing == vgg.VGG16_OBJECT_PREPROCESSING.to_json()
    said = {"like": "caffe", "size": 224}
    registry.add(
        empty,
        "caffe",
        Options(architecture="vgg16", weights=tmp_path / "w.pth", preprocessing=said),
    )
    assert json.loads(registered(empty, "caffe").preprocessing)["channels"] == "BGR"


def test_every_name_that_vgg_face_is_read_under_tells_its_input() -> None:
    named = {origin for _, origin in vgg.parameters(2622).aliases.values()} | {"pytorch"}
    assert "torchvision" in named
    assert named <= vgg.VGG_FACE.inputs.keys()


def test_another_family_is_refused_by_name(empty: Warehouse, tmp_path: Path) -> None:
    weights_writers.WRITERS["pytorch_dag"](tmp_path / "w", STATE)
    how = Options(weights=tmp_path / "w", preprocessing={"like": "thermal"})
    with pytest.raises(BadInput, match="No family of networks is called 'thermal'; known: torchv"):
        registry.add(empty, "vgg16", how)

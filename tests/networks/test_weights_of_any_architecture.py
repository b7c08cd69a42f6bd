"""Weights of a network that is no VGG, from every format, by what its architecture declares."""

from collections import OrderedDict
from dataclasses import replace

import h5py
import numpy as np
import pytest
import safetensors.numpy
import scipy.io
import torch
from support import weights_writers
from support.weights_writers import T7
from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.initialise import weights_sha256
from fexp_store.networks.weights.by_content import read_weights
from fexp_store.networks.weights.layers import Parameters, shapes_of

CONVOLUTIONS = ("eyes", "nose", "mouth")


def build():
    """Three convolutions and a fully connected layer, for images of 6 x 7 pixels."""
    layers = {"eyes": nn.Conv2d(3, 5, 3), "nose": nn.Conv2d(5, 7, 3), "mouth": nn.Conv2d(7, 6, 1)}
    return nn.Sequential(OrderedDict(layers, flat=nn.Flatten(), who=nn.Linear(6 * 2 * 3, 4)))


SMALL = Parameters("SmallNet", shapes_of(build), aliases={"head.who": ("who", "pytorch")})


@pytest.fixture
def state():
    torch.manual_seed(0)
    return {name: value.numpy() for name, value in build().state_dict().items()}


def layers_of(state):
    """Yield name, weight and bias, the fully connected layer as channels x rows x columns too."""
    for name in dict.fromkeys(key.split(".")[0] for key in state):
        weight = state[f"{name}.weight"]
        as_convolution = weight.reshape(4, 6, 2, 3) if name == "who" else weight
        yield name, as_convolution.transpose(2, 3, 1, 0), weight, state[f"{name}.bias"]


def write_mat(path, state):
    cells = [
        {"type": "conv", "name": name, "weights": weights_writers._cells([kernel, bias[:, None]])}
        for name, kernel, _, bias in layers_of(state)
    ]
    net = {"layers": weights_writers._cells(cells)}
    scipy.io.savemat(path, {"net": net}, appendmat=False)


def write_t7(path, state):
    t7, modules = T7(), {}
    for number, (name, kernel, weight, bias) in enumerate(layers_of(state), 1):
        sides = {"kH": kernel.shape[0], "kW": kernel.shape[1]} if name in CONVOLUTIONS else {}
        kind = "nn.SpatialConvolutionMM" if sides else "nn.Linear"
        parts = {"weight": weight.reshape(len(weight), -1), "bias": bias}
        fields = {key: lambda values=values: t7.tensor(values) for key, values in parts.items()}
        # What a layer last put out may be larger than any weight.
        fields["output"] = lambda: t7.tensor(np.zeros(1000, np.float32))
        modules[number] = lambda kind=kind, fields=sides | fields: t7.module(kind, fields)
    t7.module("nn.Sequential", {"modules": modules})
    path.write_bytes(t7.bytes())


def write_pth(path, state):
    torch.save(weights_writers.tensors(state), path)


def write_safetensors(path, state):
    safetensors.numpy.save_file(
        {name.replace("who.", "head.who."): values for name, values in state.items()}, path
    )


def write_h5(path, state):
    """Write as Keras does; Flatten before Dense gives rows x columns x channels."""
    found = [
        (name, {"kernel": kernel.reshape(-1, 4) if name == "who" else kernel, "bias": bias})
        for name, kernel, _, bias in layers_of(state)
    ]
    with h5py.File(path, "w") as file:
        weights_writers._write_keras(file, found)


WRITERS = {
    "mat": write_mat,
    "t7": write_t7,
    "pth": write_pth,
    "safetensors": write_safetensors,
    "h5": write_h5,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_weights_that_were_written(kind, state, tmp_path):
    WRITERS[kind](tmp_path / "weights", state)
    read = read_weights(tmp_path / "weights", SMALL).state
    assert list(read) == list(state)
    assert weights_sha256(read) == weights_sha256(state)


@pytest.mark.parametrize("kind", WRITERS)
def test_the_first_convolution_is_turned_where_files_of_that_origin_are_declared_bgr(
    kind, state, tmp_path
):
    WRITERS[kind](tmp_path / "weights", state)
    read = read_weights(tmp_path / "weights", replace(SMALL, bgr=frozenset({"torch7"}))).state
    turned = state | {"eyes.weight": state["eyes.weight"][:, [2, 1, 0]]}
    assert weights_sha256(read) == weights_sha256(turned if kind == "t7" else state)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_may_lack_the_head_only_where_that_is_declared(kind, state, tmp_path):
    body = {name: values for name, values in state.items() if not name.startswith("who")}
    WRITERS[kind](tmp_path / "weights", body)
    read = read_weights(tmp_path / "weights", replace(SMALL, head=("who",))).state
    assert weights_sha256(read) == weights_sha256(body)
    with pytest.raises(BadInput, match=r"lacks who, so it is not a whole SmallNet|has 4"):
        read_weights(tmp_path / "weights", SMALL)


def test_refusals_name_the_architecture(state, tmp_path):
    write_pth(tmp_path / "vgg.pth", {"conv1_1.weight": np.zeros((64, 3, 3, 3), np.float32)})
    with pytest.raises(BadInput, match=r"'conv1_1\.weight', which SmallNet does not have"):
        read_weights(tmp_path / "vgg.pth", SMALL)
    write_pth(tmp_path / "large.pth", {"eyes.weight": np.zeros((99, 3, 3, 3), np.float32)})
    with pytest.raises(BadInput, match="99 x 3 x 3 x 3 values, more than SmallNet's largest"):
        read_weights(tmp_path / "large.pth", SMALL)
    body = {name: values for name, values in state.items() if not name.startswith("nose")}
    write_t7(tmp_path / "short.t7", body)
    with pytest.raises(BadInput, match="holds 3 layers with weights, where SmallNet has 4"):
        read_weights(tmp_path / "short.t7", SMALL)


def test_a_parameter_that_the_architecture_lacks_is_refused(state, tmp_path):
    """A bias that is dropped in silence would leave another network."""
    shapes = {name: shape for name, shape in SMALL.shapes.items() if name != "who.bias"}
    write_h5(tmp_path / "biased.h5", state)
    with pytest.raises(
        BadInput, match=r"holds a parameter 'who\.bias', which SmallNet does not have"
    ):
        read_weights(tmp_path / "biased.h5", replace(SMALL, shapes=shapes))

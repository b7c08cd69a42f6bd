"""VGG state dicts, and writers of one in each of the layouts that public weights files have.

The layouts, and where they were read, are in the readers' docstrings. `state` is a VGG16 state
dict of float32 arrays, for RGB.
"""

import struct
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import safetensors.numpy
import scipy.io
import torch

from fexp_store.networks.architectures.vgg import CONVOLUTIONS, LAYERS, VGG16, parameters
from fexp_store.networks.initialise import initialise

WEIGHTED = parameters(10).layers
"""The 13 convolutions and 3 fully connected layers."""


def random_state(outputs, **width):
    model = VGG16(outputs, **width)
    initialise(model, "kaiming_normal", 5)
    rng = np.random.default_rng(5)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    biases = {name: rng.normal(0, 0.1, len(state[name])) for name in state if "bias" in name}
    return state | {name: values.astype(np.float32) for name, values in biases.items()}


def narrow_state():
    """Return all 16 layers with few channels, and no two axes of one length to hide a mistake."""
    return random_state(10, channels=(6, 7, 8, 9, 11), hidden=13)


def shapes(state):
    return {name: values.shape for name, values in state.items()}


def declared(state):
    """Return what is declared of VGG-16, with the widths of `state`."""
    return replace(parameters(10), shapes=shapes(state))


def layers_of(model):
    """Return the part of `LAYERS` that this body has, in forward order."""
    modules = dict(model.named_children())
    return {layer: path for layer, path in LAYERS.items() if path in modules}


def from_weights(state):
    """Build the body that a set of weights describes, around those very arrays.

    Without ``fc6.weight`` it has no fc layers. It is in evaluation mode, without gradients.
    """
    channels = tuple(len(state[f"conv{block}_1.bias"]) for block in range(1, 6))
    connected = "fc6.weight" in state
    with torch.device("meta"):
        model = VGG16(
            len(state["fc8.bias"]) if connected else None,
            channels=channels,
            hidden=len(state["fc6.bias"]) if connected else 0,
        )
    tensors = {name: torch.from_numpy(values) for name, values in state.items()}
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False)


def bgr(state):
    return {**state, "conv1_1.weight": state["conv1_1.weight"][:, ::-1].copy()}


def channels_last(state, name):
    """Return a kernel as height x width x in x out; fc6 as a convolution of 7 x 7."""
    weight = state[f"{name}.weight"]
    if weight.ndim == 2:
        weight = weight.reshape(len(weight), -1, *((7, 7) if name == "fc6" else (1, 1)))
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))


def graph(state):
    """Yield the kind and name of every layer of the networks that were published."""
    for block, convolutions in enumerate(CONVOLUTIONS, 1):
        for place in range(1, convolutions + 1):
            yield "conv", f"conv{block}_{place}"
            yield "relu", f"relu{block}_{place}"
        yield "pool", f"pool{block}"
    if "fc6.weight" in state:
        for place in "67":
            yield "conv", f"fc{place}"
            yield "relu", f"relu{place}"
            yield "dropout", f"dropout{place}"
        yield "conv", "fc8"
        yield "softmax", "prob"


# MatConvNet


def _cells(values):
    cells = np.empty((1, len(values)), dtype=object)
    cells[0, :] = values
    return cells


def matconvnet_layers(state, old=False):
    found = []
    for kind, name in graph(state):
        layer = {"type": kind, "name": name}
        if kind == "conv":
            kernel, bias = channels_last(state, name), state[f"{name}.bias"]
            if old:
                layer |= {"filters": kernel, "biases": bias[None, :]}
            else:
                layer["weights"] = _cells([kernel, bias[:, None]])
            layer |= {"stride": np.array([[1.0, 1.0]]), "pad": np.array([[1.0] * 4])}
        found.append(layer)
    return _cells(found)


def write_matconvnet(path, state):
    net = {"layers": matconvnet_layers(state), "classes": {"description": _cells(["A", "B"])}}
    scipy.io.savemat(path, {"net": net}, do_compression=True)


def write_matconvnet_old(path, state):
    meta = {"normalization": {"averageImage": np.zeros((1, 1, 3), np.float32)}}
    scipy.io.savemat(path, {"meta": meta, "layers": matconvnet_layers(state, old=True)})


# Torch7


class T7:
    """Serialises as torch.save of Lua does; objects are numbered in the order of writing."""

    def __init__(self, versioned=True):
        self.parts, self.count, self.versioned = [], 0, versioned

    def bytes(self):
        return b"".join(self.parts)

    def int(self, value):
        self.parts.append(struct.pack("<i", value))

    def longs(self, *values):
        self.parts.append(struct.pack(f"<{len(values)}q", *values))

    def text(self, value):
        self.int(len(value))
        self.parts.append(value.encode())

    def value(self, value):
        if value is None:
            self.int(0)
        elif isinstance(value, bool):
            self.int(5)
            self.int(value)
        elif isinstance(value, int | float):
            self.int(1)
            self.parts.append(struct.pack("<d", value))
        elif isinstance(value, str):
            self.int(2)
            self.text(value)
        elif isinstance(value, dict):
            self.table(value)
        else:
            value()

    def _object(self, kind):
        self.count += 1
        self.int(kind)
        self.int(self.count)
        return self.count

    def back(self, kind, number):
        self.int(kind)
        self.int(number)

    def table(self, items):
        self._object(3)
        self.int(len(items))
        for key, value in items.items():
            self.value(key)
            self.value(value)

    def torch(self, name):
        number = self._object(4)
        if self.versioned:
            self.text("V 1")
        self.text(name)
        return number

    def module(self, name, fields):
        self.torch(name)
        self.table(fields)

    def storage(self, values):
        number = self.torch("torch.FloatStorage")
        self.longs(values.size)
        self.parts.append(values.astype("<f4").tobytes())
        return number

    def tensor(self, values, offset=0, shared=None):
        """Write a tensor with a storage of its own, or one that begins at `offset` of another."""
        self.torch("torch.FloatTensor")
        self.int(values.ndim)
        self.longs(*values.shape)
        self.longs(*(step // values.itemsize for step in values.strides))
        self.longs(offset + 1)
        if shared is None:
            self.storage(values.reshape(-1))
        else:
            self.back(4, shared)

    def empty(self):
        self.torch("torch.FloatTensor")
        self.int(0)
        self.longs(1)
        self.int(0)


def _torch7_modules(state):
    """Yield the class, the fields and the name of every module in VGG_FACE.t7."""
    for kind, name in graph(state):
        if name.startswith("conv"):
            sides = {"kW": 3, "kH": 3, "dW": 1, "dH": 1, "padW": 1, "padH": 1}
            yield "nn.SpatialConvolutionMM", sides, name
        elif kind == "conv":
            yield from [("nn.View", {"numInputDims": 3}, "")] if name == "fc6" else []
            yield "nn.Linear", {}, name
        elif kind == "pool":
            yield "nn.SpatialMaxPooling", {"kW": 2, "kH": 2}, ""
        else:
            names = {"relu": "nn.ReLU", "dropout": "nn.Dropout", "softmax": "nn.SoftMax"}
            yield names[kind], {"inplace": kind == "relu"}, ""


def write_torch7(path, state, shared=False, versioned=True):
    """Write the network; with `shared`, all tensors in one storage, as getParameters leaves it."""
    state, t7 = bgr(state), T7(versioned)
    flat = np.concatenate([values.reshape(-1) for values in state.values()])
    sizes = np.cumsum([0, *(values.size for values in state.values())])
    offsets = dict(zip(state, sizes.tolist(), strict=False))
    storage = None

    def tensor(key):
        nonlocal storage
        values = state[key].reshape(len(state[key]), -1) if "weight" in key else state[key]
        if shared and storage is None:
            t7.torch("torch.FloatTensor")
            t7.int(values.ndim)
            t7.longs(*values.shape, *(step // 4 for step in values.strides), offsets[key] + 1)
            storage = t7.storage(flat)
        else:
            t7.tensor(values, offsets[key] if shared else 0, storage)

    def module(kind, fields, name):
        fields = {"_type": "torch.FloatTensor", "train": False, "output": t7.empty, **fields}
        if name:
            fields |= {key: lambda key=key: tensor(f"{name}.{key}") for key in ("weight", "bias")}
            fields["gradWeight"] = t7.empty
        t7.module(kind, fields)

    made = [lambda each=each: module(*each) for each in _torch7_modules(state)]
    # A Lua table's order is no order: the last module is written first.
    numbered = dict(reversed(list(enumerate(made, 1))))
    t7.module("nn.Sequential", {"train": False, "modules": numbered})
    Path(path).write_bytes(t7.bytes())


def write_torch7_shared(path, state):
    write_torch7(path, state, shared=True)


def write_torch7_unversioned(path, state):
    write_torch7(path, state, versioned=False)


# PyTorch


def tensors(state):
    return {name: torch.from_numpy(values.copy()) for name, values in state.items()}


def write_dag(path, state):
    torch.save(tensors(state), path, _use_new_zipfile_serialization=False)


def torchvision_names():
    convolutions = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    names = [f"features.{index}" for index in convolutions]
    return dict(
        zip(WEIGHTED, [*names, "classifier.0", "classifier.3", "classifier.6"], strict=True)
    )


def renamed(state, names):
    split = {key: key.rpartition(".") for key in state}
    return {f"{names[layer]}.{kind}": state[key] for key, (layer, _, kind) in split.items()}


def write_checkpoint(path, state):
    inner = renamed(tensors(state), torchvision_names())
    inner = {f"module.{key}": value for key, value in inner.items()}
    torch.save({"epoch": 3, "state_dict": inner}, path)


def write_torch7_port(path, state):
    names = {name: name.replace("conv", "conv_") for name in WEIGHTED}
    torch.save(renamed(tensors(bgr(state)), names), path)


def write_caffe_port(path, state):
    torch.save(tensors(_caffe(state)), path)


def _caffe(state):
    shapes = {key: (1,) * (4 - value.ndim) + value.shape for key, value in state.items()}
    return {key: value.reshape(shapes[key]) for key, value in bgr(state).items()}


def write_safetensors(path, state):
    safetensors.numpy.save_file(renamed(state, torchvision_names()), path)


# HDF5


def _keras_layer(root, name, arrays):
    group = root.create_group(name)
    keys = [f"{name}/{kind}:0" for kind in arrays]
    group.attrs["weight_names"] = [key.encode() for key in keys]
    for key, values in zip(keys, arrays.values(), strict=True):
        group.create_dataset(key, data=values)


def _write_keras(root, found):
    root.attrs["layer_names"] = [name.encode() for name, _ in found]
    root.attrs["backend"] = b"tensorflow"
    for name, arrays in found:
        _keras_layer(root, name, arrays)


def keras_sequential(state):
    """Layers of deepface's vgg_face_weights.h5: generated names, fc layers as convolutions."""
    found, made = [], {}

    def add(kind, arrays=None):
        made[kind] = made.get(kind, 0) + 1
        found.append((f"{kind}_{made[kind]}", arrays or {}))

    for kind, name in graph(state):
        if kind == "conv":
            if name.startswith("conv"):
                add("zero_padding2d")
            arrays = {"kernel": channels_last(state, name), "bias": state[f"{name}.bias"]}
            add("conv2d", arrays)
        elif kind in ("pool", "dropout"):
            add({"pool": "max_pooling2d"}.get(kind, kind))
    return found


def write_keras_sequential(path, state):
    with h5py.File(path, "w") as file:
        _write_keras(file, keras_sequential(state))


def keras_vggface(state):
    """Layers of keras-vggface's rcmalli_vggface_tf_vgg16.h5: the network's names, Dense fc."""
    state, found = bgr(state), [("input_1", {})]
    for kind, name in graph(state):
        if kind == "pool":
            found.append((name, {}))
        elif kind == "conv":
            kernel = channels_last(state, name)
            if name == "fc6":
                found.append(("flatten", {}))
            if name.startswith("fc"):
                kernel = kernel.reshape(-1, kernel.shape[-1])
            found.append((name, {"kernel": kernel, "bias": state[f"{name}.bias"]}))
    return found


def write_keras_vggface(path, state):
    with h5py.File(path, "w") as file:
        _write_keras(file.create_group("model_weights"), keras_vggface(state))


def write_caffe_h5(path, state):
    with h5py.File(path, "w") as file:
        for key, values in _caffe(state).items():
            file.create_dataset(key, data=values)


WRITERS = {
    "matconvnet": write_matconvnet,
    "matconvnet_old": write_matconvnet_old,
    "torch7": write_torch7,
    "torch7_shared": write_torch7_shared,
    "torch7_unversioned": write_torch7_unversioned,
    "pytorch_dag": write_dag,
    "pytorch_checkpoint": write_checkpoint,
    "pytorch_torch7_port": write_torch7_port,
    "pytorch_caffe_port": write_caffe_port,
    "safetensors": write_safetensors,
    "keras_sequential": write_keras_sequential,
    "keras_vggface": write_keras_vggface,
    "caffe_h5": write_caffe_h5,
}

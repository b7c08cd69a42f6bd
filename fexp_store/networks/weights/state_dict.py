"""Reads PyTorch state dicts, pickled or as safetensors, under the key names that are in use.

Layouts and where they were read:

- ``vgg_face_dag.pth``: ``conv1_1.weight`` … ``fc8.bias``, RGB, converted from MatConvNet
  (github.com/albanie/pytorch-mcn, ``importer.sh`` and ``python/ptmcn_utils.py``);
- torchvision: ``features.0.weight`` … ``classifier.6.bias`` (torchvision.models.vgg16), RGB;
- ports of ``VGG_FACE.t7``: ``conv_1_1.weight`` (github.com/prlz77/vgg-face.pytorch,
  ``models/vgg_face.py``) or ``features.conv_1_1.weight`` and ``fc.fc6.weight``
  (github.com/chi0tzp/PyVGGFace, ``convert_weights.py``): BGR, as the file they copy;
- ``VGG_FACE.caffemodel.pth`` (github.com/yzhang559/vgg-face, whose ``test.py`` reshapes each
  array): Caffe's names, and taken for BGR where arrays have Caffe's four-dimensional shapes
  (biases 1 x 1 x 1 x out), by which it is told from ``vgg_face_dag.pth``.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.weights.layers import (
    FileWeights,
    Origin,
    Parameters,
    check_size,
    shapes_of,
)

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PARAMETER = re.compile(r"\.(weight|bias|running_mean|running_var)$")


def read_pickled(path: Path, parameters: Parameters) -> FileWeights:
    """Read a state dict that ``torch.save`` wrote, without running anything that is in the file."""
    return _renamed(load_tensors(path), parameters)


def read_safetensors(path: Path, parameters: Parameters) -> FileWeights:
    """Read a state dict from a safetensors file."""
    return _renamed(_load_safetensors(path), parameters)


def _is_safetensors(path: Path) -> bool:
    if not path.is_file():
        raise BadInput("is not there, or is not a file; give the path of a weights file.")
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise BadInput("is cut short or damaged: its safetensors header is wrong.") from error


def read_own(path: Path, network: str, build: Callable[[], nn.Module]) -> dict[str, NDArray[Any]]:
    """Read what ``torch.save`` wrote of the module that `build` gives, under its own names.

    Returns
    -------
    dict of str to ndarray
        Every parameter and buffer, in the module's order and of the types that the file has.

    Raises
    ------
    BadInput
        The file is damaged, holds code, or is not of this `network`.
    """
    shapes = shapes_of(build)
    try:
        tensors = load_tensors(path)
        for name, shape in shapes.items():
            if name not in tensors:
                raise BadInput(f"lacks {name}, so it is not {network}.")
            if (actual := tuple(tensors[name].shape)) != shape:
                raise BadInput(
                    f"is of another network than {network}: {name} has shape {actual}, "
                    f"where {shape} is expected."
                )
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error
    return {name: tensors[name].numpy() for name in shapes}


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Load a state dict: of a safetensors file, or by itself or in a checkpoint of ``torch.save``.

    Returns
    -------
    dict of str to tensor
        Dense tensors on the CPU, under their keys less any ``module.`` before them.

    Raises
    ------
    BadInput
        The file is damaged, or holds objects besides tensors: none is ever unpickled.
    """
    if _is_safetensors(path):
        return _load_safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "unsupported" in str(error).lower():
            raise BadInput(
                "holds Python code or objects besides tensors, and none of it was run; save only "
                "the model's state_dict() with the program that wrote it."
            ) from error
        raise BadInput("is cut short or damaged: its pickle cannot be read.") from error
    # A damaged file meets whichever of PyTorch's, pickle's and zip's many errors comes first.
    except Exception as error:
        raise BadInput("is cut short or damaged: PyTorch cannot read it.") from error
    if isinstance(content, Mapping):
        inner = (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping))
        content = next(inner, content)
    if not isinstance(content, Mapping):
        raise BadInput(f"holds a {type(content).__name__}, not a state dict of named tensors.")
    return {
        re.sub(r"^(module\.)+", "", key): value.detach()
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor) and _is_dense(value)
    }


def _is_dense(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type == "cpu"


def _renamed(tensors: Mapping[str, torch.Tensor], parameters: Parameters) -> FileWeights:
    floating = {key: tensor for key, tensor in tensors.items() if tensor.is_floating_point()}
    return rename(floating, lambda tensor: tensor.to(torch.float32).numpy(), parameters)


def rename(
    found: Mapping[str, Any], to_array: Callable[[Any], NDArray[Any]], parameters: Parameters
) -> FileWeights:
    """Give the arrays of a file the architecture's names and numbers of axes.

    Parameters
    ----------
    found : mapping of str to tensor or dataset
        Under the architecture's own names or their aliases; what has another name is ignored
        unless that ends as a parameter's does.
    to_array : callable
        Called once a name and a size are found right.
    parameters : Parameters

    Raises
    ------
    BadInput
        A parameter is not one of the architecture's.
    """
    state: dict[str, NDArray[Any]] = {}
    origin: Origin = "pytorch"
    for key, value in found.items():
        if not _PARAMETER.search(key):
            continue
        layer, _, kind = key.rpartition(".")
        layer, named = parameters.aliases.get(layer, (layer, "pytorch"))
        shape = parameters.shapes.get(f"{layer}.{kind}")
        if shape is None:
            network = parameters.network
            raise BadInput(f"holds a parameter {key!r}, which {network} does not have.")
        check_size(f"an array {key}", value.shape, parameters)
        array, from_caffe = _without_caffe_axes(to_array(value), len(shape))
        state[f"{layer}.{kind}"] = array
        if from_caffe or named != "pytorch":
            origin = "caffe" if from_caffe else named
    return FileWeights(state, origin)


def _without_caffe_axes(array: NDArray[Any], axes: int) -> tuple[NDArray[Any], bool]:
    """Drop the leading axes of 1 that old Caffe gives every array; say whether there were any."""
    if array.ndim == 4 and axes < 4 and array.shape[: 4 - axes] == (1,) * (4 - axes):
        return array.reshape(array.shape[4 - axes :]), True
    if array.ndim == 4 and axes == 2:
        return array.reshape(len(array), -1), False
    return array, False

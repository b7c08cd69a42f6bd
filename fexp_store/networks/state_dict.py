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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.file_layers import ChannelOrder, FileWeights, check_size
from fexp_store.networks.vgg import CONVOLUTIONS, WEIGHTED

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PARAMETER = re.compile(r"\.(weight|bias|running_mean|running_var)$")
_NAMED = re.compile(r"(?:features\.)?conv(_?)(\d)_(\d)|(?:fc\.|classifier\.)?fc(\d)")


def _torchvision_names() -> dict[str, str]:
    """Map ``features.0`` … ``classifier.6`` to VGG16's names, counting ReLUs and pools."""
    names, index = {}, 0
    for block, convolutions in enumerate(CONVOLUTIONS, 1):
        for place in range(1, convolutions + 1):
            names[f"features.{index}"] = f"conv{block}_{place}"
            index += 2
        index += 1
    return names | {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}


_TORCHVISION = _torchvision_names()


def read_pickled(path: Path) -> FileWeights:
    """Read a VGG that ``torch.save`` wrote, without running anything that is in the file."""
    return rename(_arrays(load_tensors(path)))


def read_safetensors(path: Path) -> FileWeights:
    """Read a VGG from a safetensors file."""
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise BadInput("is cut short or damaged: its safetensors header is wrong.") from error
    return rename(_arrays(tensors))


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Load the state dict that ``torch.save`` wrote, by itself or in a checkpoint.

    Returns
    -------
    dict of str to tensor
        Dense tensors on the CPU, under their keys less any ``module.`` before them.

    Raises
    ------
    BadInput
        The file is damaged, or holds objects besides tensors: none is ever unpickled.
    """
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


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    """Turn the floating-point tensors into arrays of float32."""
    arrays = {}
    for key, tensor in tensors.items():
        if tensor.is_floating_point():
            check_size(f"a tensor {key}", tensor.shape)
            arrays[key] = tensor.detach().to(torch.float32).numpy()
    return arrays


def rename(arrays: Mapping[str, NDArray[Any]]) -> FileWeights:
    """Give parameters VGG16's names and shapes.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Under any of the key names of this module's list; other keys are ignored unless they
        end as a parameter's does.

    Raises
    ------
    BadInput
        A parameter is not one of VGG-16's.
    """
    state: dict[str, NDArray[Any]] = {}
    channels: ChannelOrder = "RGB"
    for key, array in arrays.items():
        if not _PARAMETER.search(key):
            continue
        layer, _, kind = key.rpartition(".")
        match = _NAMED.fullmatch(layer)
        name = _TORCHVISION.get(layer)
        if match:
            underscore, block, place, connected = match.groups()
            name = f"fc{connected}" if connected else f"conv{block}_{place}"
        if name not in WEIGHTED or kind.startswith("running"):
            raise BadInput(f"holds a parameter {key!r}, which VGG-16 does not have.")
        state[f"{name}.{kind}"], from_caffe = _without_caffe_axes(name, kind, array)
        if from_caffe or (match and underscore):
            channels = "BGR"
    return FileWeights(state, channels)


def _without_caffe_axes(name: str, kind: str, array: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Drop the leading axes of 1 that old Caffe gives every array; say whether there were any."""
    rank = 1 if kind == "bias" else 4 if name.startswith("conv") else 2
    if array.ndim == 4 and rank < 4 and array.shape[: 4 - rank] == (1,) * (4 - rank):
        return array.reshape(array.shape[4 - rank :]), True
    if array.ndim == 4 and rank == 2:
        return array.reshape(len(array), -1), False
    return array, False

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

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.weights.fitting import summary
from fexp_store.networks.weights.layers import FileWeights, Origin, Parameters, check_size
from fexp_store.networks.weights.tensors import Tensors, choose, load_tensors

_KINDS = (".weight", ".bias", ".running_mean", ".running_var")


def read_pickled(path: Path, parameters: Parameters) -> FileWeights:
    """Read a state dict that ``torch.save`` wrote, without running anything that is in the file."""
    return _renamed(load_tensors(path, "torch"), parameters)


def read_safetensors(path: Path, parameters: Parameters) -> FileWeights:
    """Read a state dict from a safetensors file."""
    return _renamed(load_tensors(path, "safetensors"), parameters)


def _renamed(tensors: Tensors, parameters: Parameters) -> FileWeights:
    names = [f"{layer}{kind}" for layer in parameters.aliases for kind in _KINDS]
    chosen = choose(tensors, [*parameters.shapes, *names])
    floating = {key: value for key, value in chosen.state.items() if value.is_floating_point()}
    found = rename(floating, lambda tensor: tensor.to(torch.float32).numpy(), parameters)
    return found._replace(left_out=tuple(summary([*found.left_out, *chosen.others])))


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
        A kernel, or another parameter of one of the architecture's layers, is not the
        architecture's. Those of other heads are left out.
    """
    state: dict[str, NDArray[Any]] = {}
    left_out: list[str] = []
    origin: Origin = "pytorch"
    for key, value in found.items():
        if not key.endswith(_KINDS):
            continue
        layer, _, kind = key.rpartition(".")
        layer, named = parameters.aliases.get(layer, (layer, "pytorch"))
        shape = parameters.shapes.get(f"{layer}.{kind}")
        if shape is None and layer not in parameters.layers and len(value.shape) < 3:
            left_out.append(key)
            continue
        if shape is None:
            network = parameters.network
            raise BadInput(f"holds a parameter {key!r}, which {network} does not have.")
        check_size(f"an array {key}", value.shape, parameters)
        array, from_caffe = _without_caffe_axes(to_array(value), len(shape))
        state[f"{layer}.{kind}"] = array
        if from_caffe or named != "pytorch":
            origin = "caffe" if from_caffe else named
    if left_out and not state:
        raise BadInput(f"holds nothing of {parameters.network}, but {left_out[0]!r}.")
    return FileWeights(state, origin, tuple(left_out))


def _without_caffe_axes(array: NDArray[Any], axes: int) -> tuple[NDArray[Any], bool]:
    """Drop the leading axes of 1 that old Caffe gives every array; say whether there were any."""
    if array.ndim == 4 and axes < 4 and array.shape[: 4 - axes] == (1,) * (4 - axes):
        return array.reshape(array.shape[4 - axes :]), True
    if array.ndim == 4 and axes == 2:
        return array.reshape(len(array), -1), False
    return array, False

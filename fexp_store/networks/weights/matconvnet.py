"""Reads MatConvNet networks: Oxford's ``vgg_face.mat`` and MatConvNet's ``vgg-face.mat``.

Layout, and where it was read:

- the network is the struct ``net`` (Oxford's file) or the top level of the file (MatConvNet's):
  github.com/mzaradzki/neuralnets, the VGG-Face notebook, which reads both;
- ``layers`` is a cell array of structs with ``type``, ``name`` and either ``weights{1,2}`` or,
  before MatConvNet 1.0-beta13, ``filters`` and ``biases``: ``vl_simplenn_tidy.m`` in
  github.com/vlfeat/matconvnet, which turns the one into the other;
- filters are height x width x in x out, with fc6 a convolution of 7 x 7 x 512 x 4096: the same
  notebook, and ``python/ptmcn_utils.py`` in github.com/albanie/pytorch-mcn;
- ``meta.normalization.averageImage``, height x width x 3 or 1 x 1 x 3, is subtracted from the
  image: ``vl_simplenn_tidy.m`` and ``cnn_imagenet_deploy.m`` there;
- images are RGB: ``examples/vggfaces/cnn_vgg_faces.m`` feeds what ``imread`` returns, less
  ``averageImage``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fexp_store.errors import BadInput
from fexp_store.mat5 import read_variables
from fexp_store.networks.weights.layers import FileLayer, FileWeights, Parameters, to_state


def read(path: Path, parameters: Parameters) -> FileWeights:
    """Read a MATLAB v5 file (``save -v6`` or ``-v7``)."""
    content = read_variables(path, {"net", "layers", "meta"})
    net = content.get("net", content)
    layers = net.get("layers") if isinstance(net, dict) else None
    if not isinstance(layers, list):
        raise BadInput("holds no MatConvNet network: no 'layers', at the top or in 'net'.")
    structs = [layer for layer in layers if isinstance(layer, dict)]
    convolutions = [_layer(layer) for layer in structs if layer.get("type") == "conv"]
    state = to_state(convolutions, parameters)
    return FileWeights(state, "matconvnet", mean=_mean(net.get("meta", content.get("meta"))))


def _mean(meta: Any) -> tuple[float, float, float] | None:
    """Return the mean over pixels of the image that ``meta.normalization`` says to subtract."""
    normalization = meta.get("normalization") if isinstance(meta, dict) else None
    image = normalization.get("averageImage") if isinstance(normalization, dict) else None
    if not isinstance(image, np.ndarray) or image.size % 3 or not image.size:
        return None
    # Of shape (height, width, 3); MATLAB may have dropped what is 1, or turned three numbers.
    pixels = image.reshape(-1, 3) if image.shape[-1] == 3 else image.reshape(3, -1).T
    red, green, blue = pixels.astype(np.float64).mean(axis=0).tolist()
    return red, green, blue


def _layer(struct: dict[str, Any]) -> FileLayer:
    name = struct.get("name")
    pair = struct.get("weights")
    if not isinstance(pair, list) or len(pair) < 2:
        pair = [struct.get("filters"), struct.get("biases")]
    filters, biases = pair[:2]
    if not isinstance(filters, np.ndarray) or not isinstance(biases, np.ndarray):
        raise BadInput(f"gives no filters and biases for its convolution {name!r}.")
    # MATLAB drops a last axis of 1.
    filters = filters.reshape(filters.shape + (1,) * (4 - filters.ndim))
    if filters.ndim > 4:
        raise BadInput(f"gives filters of {filters.ndim} axes for its convolution {name!r}.")
    weight = filters.transpose(3, 2, 0, 1)
    return FileLayer(name if isinstance(name, str) else "", weight, biases.reshape(-1))

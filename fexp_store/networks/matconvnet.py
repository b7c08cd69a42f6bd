"""Reads MatConvNet networks: Oxford's ``vgg_face.mat`` and MatConvNet's ``vgg-face.mat``.

Layout, and where it was read:

- the network is the struct ``net`` (Oxford's file) or the top level of the file (MatConvNet's):
  github.com/mzaradzki/neuralnets, the VGG-Face notebook, which reads both;
- ``layers`` is a cell array of structs with ``type``, ``name`` and either ``weights{1,2}`` or,
  before MatConvNet 1.0-beta13, ``filters`` and ``biases``: ``vl_simplenn_tidy.m`` in
  github.com/vlfeat/matconvnet, which turns the one into the other;
- filters are height x width x in x out, with fc6 a convolution of 7 x 7 x 512 x 4096: the same
  notebook, and ``python/ptmcn_utils.py`` in github.com/albanie/pytorch-mcn;
- images are RGB: ``examples/vggfaces/cnn_vgg_faces.m`` feeds what ``imread`` returns, less
  ``averageImage``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.file_layers import FileLayer, FileWeights, to_state


def read(path: Path) -> FileWeights:
    """Read a MATLAB v5 file (``save -v6`` or ``-v7``)."""
    try:
        content = scipy.io.loadmat(path, variable_names=["net", "layers"])
    # A damaged file meets whichever of scipy's and zlib's many errors comes first.
    except Exception as error:
        raise BadInput("is cut short or damaged: SciPy cannot read it as MATLAB.") from error
    layers = _field(content["net"], "layers") if "net" in content else content.get("layers")
    if layers is None or layers.dtype != object:
        raise BadInput("holds no MatConvNet network: no 'layers', at the top or in 'net'.")
    read_layers = [_layer(layer) for layer in layers.reshape(-1) if _text(layer, "type") == "conv"]
    return FileWeights(to_state(read_layers), "RGB")


def _field(struct: Any, name: str) -> NDArray[Any] | None:
    """Return a field of a 1 x 1 struct as loadmat gives it, or None where it has none."""
    if (
        not isinstance(struct, np.ndarray)
        or struct.size != 1
        or name not in (struct.dtype.names or ())
    ):
        return None
    value = struct[name].reshape(-1)[0]
    return value if isinstance(value, np.ndarray) else None


def _text(struct: Any, name: str) -> str:
    value = _field(struct, name)
    return str(value.reshape(-1)[0]) if value is not None and value.size else ""


def _layer(struct: Any) -> FileLayer:
    name = _text(struct, "name")
    pair = _field(struct, "weights")
    if pair is not None and pair.dtype == object and pair.size >= 2:
        filters, biases = pair.reshape(-1)[:2]
    else:
        filters, biases = _field(struct, "filters"), _field(struct, "biases")
    if filters is None or biases is None:
        raise BadInput(f"gives no filters and biases for its convolution {name!r}.")
    # MATLAB drops a last axis of 1.
    filters = filters.reshape(filters.shape + (1,) * (4 - filters.ndim))
    return FileLayer(name, filters.transpose(3, 2, 0, 1), biases.reshape(-1))

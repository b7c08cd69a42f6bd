"""Reads the HDF5 weights files of Keras, and one flat HDF5 of Caffe's arrays.

Layouts, and where they were read:

- Keras: the attribute ``layer_names`` lists groups in forward order, each with an attribute
  ``weight_names``, under the root (``save_weights``) or under ``model_weights`` (``save``):
  ``load_weights_from_hdf5_group`` in Keras 2's ``engine/saving.py``, which also turns kernels
  around when the attribute ``backend`` is Theano;
- ``vgg_face_weights.h5`` of github.com/serengil/deepface (``VGGFace.py``): a Sequential model
  whose layers have generated names, so order decides, and whose fc layers are convolutions
  (7 x 7, then 1 x 1). It was copied array by array from ``vgg_face.mat``
  (sefiks.com/2019/07/15/how-to-convert-matlab-models-to-keras), so it expects RGB;
- ``rcmalli_vggface_tf_vgg16.h5`` of github.com/rcmalli/keras-vggface: layers named as the
  network's, fc layers Dense, a layer ``flatten`` or ``pool5`` but no padding layers; converted
  from Caffe, and ``preprocess_input`` in ``utils.py`` turns RGB into BGR before it;
- ``vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5`` and its sister with the fc layers, of
  ``keras.applications.vgg16``: layers ``block1_conv1`` …; converted from Caffe, and
  ``preprocess_input`` turns RGB into BGR and subtracts 103.939, 116.779, 123.68;
- ``vggface.h5`` of github.com/yzhang559/vgg-face (``test.py``): datasets ``conv1_1.weight`` …
  at the root, in Caffe's shapes and BGR.

Kernels are height x width x in x out. Dense fc6 takes the flattened height x width x channel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.weights import state_dict
from fexp_store.networks.weights.layers import (
    FileLayer,
    FileWeights,
    Parameters,
    check_size,
    to_state,
)


def read(path: Path, parameters: Parameters) -> FileWeights:
    """Read an HDF5 file; needs the optional package h5py.

    The HDF5 library itself can crash on a file whose inner tables are damaged or forged.
    """
    try:
        import h5py
    except ImportError as error:
        raise BadInput("is an HDF5 file, which needs h5py: pip install h5py.") from error
    try:
        with h5py.File(path, "r") as file:
            _check_own(file)
            root = file.get("model_weights", file)
            if "layer_names" in root.attrs:
                return _keras(root, parameters)
            if "_layer_checkpoint_dependencies" in file or "layers" in file:
                raise BadInput(
                    "is of Keras 3 (.weights.h5), which is not read; save the whole model in Keras "
                    "as HDF5: model.save('weights.h5')."
                )
            return _flat(root, h5py.Dataset, parameters)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise BadInput("is cut short or damaged: HDF5 cannot read it.") from error


def _check_own(file: Any) -> None:
    """Refuse arrays that lie in other files, which reading would open."""
    elsewhere: list[str] = []

    def visit_link(name: str, link: Any) -> None:
        if type(link).__name__ == "ExternalLink":
            elsewhere.append(name)

    def visit(name: str, node: Any) -> None:
        if getattr(node, "external", None) or getattr(node, "is_virtual", False):
            elsewhere.append(name)

    file.visititems_links(visit_link)
    file.visititems(visit)
    if elsewhere:
        raise BadInput(f"names {elsewhere[0]!r} in another file, which fexp does not open.")


def _keras(root: Any, parameters: Parameters) -> FileWeights:
    if _text(root.attrs.get("backend", "")) == "theano":
        raise BadInput(
            "was written by Keras on Theano, which turns kernels around; "
            "load it in Keras on TensorFlow and save it again."
        )
    names = [_text(name) for name in root.attrs["layer_names"]]
    groups = ((name, root[name]) for name in names)
    kernels = [found for pair in groups if (found := _kernel_and_bias(*pair, parameters))]
    if not kernels:
        raise BadInput("holds a Keras model without any weights.")
    layers, channels = [], 0  # of the convolution before, which a Dense layer takes flattened
    for name, kernel, bias in kernels:
        layers.append(FileLayer(name, _weight(kernel, channels), bias))
        channels = len(bias) if kernel.ndim == 4 else 0
    # Of models whose layers have the network's own names, those from Caffe pad inside their
    # convolutions; those from MatConvNet have layers for it, or a head of convolutions.
    if kernels[0][0] == "block1_conv1":
        return FileWeights(to_state(layers, parameters), "keras.applications")
    named = kernels[0][0] == parameters.layers[0]
    padded = any("padding" in name for name in names)
    convolved = channels and len(layers) > len(parameters.convolutions)
    from_caffe = named and not padded and not convolved
    return FileWeights(to_state(layers, parameters), "caffe" if from_caffe else "keras")


def _kernel_and_bias(
    name: str, group: Any, parameters: Parameters
) -> tuple[str, NDArray[Any], NDArray[Any]] | None:
    arrays = [_array(group[_text(key)], parameters) for key in group.attrs.get("weight_names", [])]
    if not arrays:
        return None
    if [array.ndim for array in arrays] not in ([4, 1], [2, 1]):
        raise BadInput(f"holds a layer {name!r} that is neither a convolution nor connected.")
    return name, arrays[0], arrays[1]


def _weight(kernel: NDArray[Any], channels: int) -> NDArray[Any]:
    """Reorder a kernel's axes; after a convolution a Dense layer's inputs are places x channels."""
    if kernel.ndim == 4:
        return kernel.transpose(3, 2, 0, 1)
    if channels and len(kernel) % channels == 0:
        outputs = kernel.shape[1]
        return kernel.reshape(-1, channels, outputs).transpose(2, 1, 0).reshape(outputs, -1)
    return kernel.T


def _flat(root: Any, dataset: type, parameters: Parameters) -> FileWeights:
    found = {key: root[key] for key in root if isinstance(root[key], dataset)}
    if not found:
        raise BadInput("is an HDF5 file without weights: no Keras layers and no arrays.")
    return state_dict.rename(found, np.asarray, parameters)


def _array(dataset: Any, parameters: Parameters) -> NDArray[Any]:
    check_size(f"an array {dataset.name}", dataset.shape, parameters)
    return np.asarray(dataset)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)

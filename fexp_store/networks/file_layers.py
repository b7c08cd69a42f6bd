"""What every reader of a weights file hands on: VGG16's parameter names and the channel order.

A reader raises `BadInput` with the predicate of a sentence whose subject is the file ("is cut
short"); `read_weights` puts the file's name before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.vgg import WEIGHTED

CONVOLUTIONAL = tuple(name for name in WEIGHTED if name.startswith("conv"))

LARGEST = 25088 * 4096
"""Values in VGG-16's largest array, fc6: a file that declares a larger one is not this network."""

ChannelOrder = Literal["RGB", "BGR"]


class FileLayer(NamedTuple):
    """One layer as a file has it: a weight in PyTorch's axis order, and a bias of shape (out,)."""

    name: str
    weight: NDArray[Any]
    bias: NDArray[Any]


class FileWeights(NamedTuple):
    """A file's weights under VGG16's names, and the channel order that its conv1_1 expects."""

    state: dict[str, NDArray[Any]]
    channels: ChannelOrder


def to_state(layers: Sequence[FileLayer]) -> dict[str, NDArray[Any]]:
    """Name the parameters as VGG16 does.

    Parameters
    ----------
    layers : sequence of FileLayer
        In forward order. Where no name is one of VGG-16's, their order decides.

    Returns
    -------
    dict of str to ndarray
        ``conv1_1.weight``, ``conv1_1.bias``, …

    Raises
    ------
    BadInput
        There are layers that VGG-16 does not have, or two of one name.
    """
    names = [layer.name for layer in layers]
    if layers and not set(names) & set(WEIGHTED):
        if len(layers) not in (len(CONVOLUTIONAL), len(WEIGHTED)):
            raise BadInput(
                f"holds {len(layers)} layers with weights, where VGG-16 has 13 convolutions, "
                "with or without 3 fully connected layers after them."
            )
        names = list(WEIGHTED[: len(layers)])
    for name in names:
        if name not in WEIGHTED:
            raise BadInput(f"holds a layer {name!r}, which VGG-16 does not have.")
        if names.count(name) > 1:
            raise BadInput(f"holds two layers of the name {name!r}.")
    state = {}
    for name, layer in zip(names, layers, strict=True):
        weight = layer.weight
        # A fully connected layer may come as a convolution over the whole of its input.
        if name.startswith("fc") and weight.ndim == 4:
            weight = weight.reshape(len(weight), -1)
        state[f"{name}.weight"] = weight
        state[f"{name}.bias"] = layer.bias
    return state


def check_size(what: str, shape: Sequence[int]) -> None:
    """Refuse an array that is too large to be one of VGG-16's before memory is asked for it."""
    if math.prod(shape) > LARGEST:
        sides = " x ".join(map(str, shape))
        raise BadInput(f"declares {what} of {sides} values, more than VGG-16's largest array has.")

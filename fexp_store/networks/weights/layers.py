"""What readers of weights files are told of an architecture, and what they hand on.

A reader raises `BadInput` with the predicate of a sentence whose subject is the file ("is cut
short"); `read_weights` puts the file's name before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from numpy.typing import NDArray
from torch import nn

from fexp_store.errors import BadInput

Origin = Literal[
    "matconvnet", "torch7", "pytorch", "torchvision", "keras", "keras.applications", "caffe"
]
"""The framework that a file, or the file it was copied from, was written for."""


def layer_of(parameter: str) -> str:
    """Return the layer of ``LAYER.KIND``."""
    return parameter.rpartition(".")[0]


@dataclass(frozen=True)
class Parameters:
    """The parameters of an architecture, and how files hold them.

    MatConvNet, Torch7 and Keras files are read where every layer has a weight and a bias.

    Parameters
    ----------
    network : str
        What messages call the architecture.
    shapes : mapping of str to tuple of ints
        ``LAYER.KIND`` -> shape in PyTorch's axis order, in forward order.
    aliases : mapping of str to (str, Origin)
        Another name of a layer in state dicts -> layer, and what a file with that name is of.
    head : tuple of str
        The last layers, where a file may lack them ("convolutions only").
    bgr : frozenset of Origin
        Origins of files whose first convolution takes BGR; of others it takes RGB.
    """

    network: str
    shapes: Mapping[str, tuple[int, ...]]
    aliases: Mapping[str, tuple[str, Origin]] = field(default_factory=dict)
    head: tuple[str, ...] = ()
    bgr: frozenset[Origin] = frozenset()

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that have parameters, in forward order."""
        return tuple(dict.fromkeys(map(layer_of, self.shapes)))

    @property
    def convolutions(self) -> tuple[str, ...]:
        """The names of the convolutions' weights, in forward order."""
        return tuple(name for name, shape in self.shapes.items() if len(shape) == 4)


class FileLayer(NamedTuple):
    """One layer as a file has it: a weight in PyTorch's axis order, and a bias of shape (out,)."""

    name: str
    weight: NDArray[Any]
    bias: NDArray[Any]


class FileWeights(NamedTuple):
    """A file's weights under the architecture's names, and what the file is of.

    Parameters
    ----------
    state : dict of str to ndarray
    origin : Origin
    left_out : tuple of str
        Names of the file's arrays that are not the architecture's.
    mean : tuple of 3 floats, optional
        What the file says is to be subtracted of R, G and B, on the 0–255 scale.
    """

    state: dict[str, NDArray[Any]]
    origin: Origin
    left_out: tuple[str, ...] = ()
    mean: tuple[float, float, float] | None = None


def shapes_of(build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter and buffer of a module, without allocating any."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in build().state_dict().items()}


def to_state(layers: Sequence[FileLayer], parameters: Parameters) -> dict[str, NDArray[Any]]:
    """Name the layers of a file as the architecture does.

    Parameters
    ----------
    layers : sequence of FileLayer
        In forward order. Where no name is one of the architecture's, their order decides.
    parameters : Parameters

    Returns
    -------
    dict of str to ndarray
        ``LAYER.weight`` and ``LAYER.bias`` of every layer.

    Raises
    ------
    BadInput
        There are layers that the architecture does not have, or two of one name.
    """
    known, network = parameters.layers, parameters.network
    names = [layer.name for layer in layers]
    if not set(names) & set(known):
        names = _by_order(len(layers), parameters)
    state: dict[str, NDArray[Any]] = {}
    for name, layer in zip(names, layers, strict=True):
        if name not in known:
            raise BadInput(f"holds a layer {name!r}, which {network} does not have.")
        if f"{name}.weight" in state:
            raise BadInput(f"holds two layers of the name {name!r}.")
        weight = layer.weight
        # A fully connected layer may come as a convolution over the whole of its input.
        if weight.ndim == 4 and f"{name}.weight" not in parameters.convolutions:
            weight = weight.reshape(len(weight), -1)
        state |= {f"{name}.weight": weight, f"{name}.bias": layer.bias}
    return state


def _by_order(count: int, parameters: Parameters) -> list[str]:
    """Name `count` layers without names: all of the architecture's, or all before its head."""
    known, head = parameters.layers, parameters.head
    names = [name for name in known if name not in head]
    if count not in (0, len(names), len(known)):
        without = f", or {len(names)} without {', '.join(head)}" if head else ""
        raise BadInput(
            f"holds {count} layers with weights, "
            f"where {parameters.network} has {len(known)}{without}."
        )
    return names if count == len(names) else list(known[:count])


def check_size(what: str, shape: Sequence[int], parameters: Parameters) -> None:
    """Refuse an array too large to be one of the architecture's before memory is asked for it."""
    if math.prod(shape) > max(map(math.prod, parameters.shapes.values())):
        sides = " x ".join(map(str, shape))
        raise BadInput(
            f"declares {what} of {sides} values, "
            f"more than {parameters.network}'s largest array has."
        )

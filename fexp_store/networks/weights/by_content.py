"""Reads an architecture's weights from any of the files in use, told apart by their content."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.weights import keras_h5, matconvnet, state_dict, torch7
from fexp_store.networks.weights.formats import Format, format_of
from fexp_store.networks.weights.layers import FileWeights, Origin, Parameters, layer_of

_READERS: Mapping[Format, Callable[[Path, Parameters], FileWeights]] = {
    "matlab": matconvnet.read,
    "hdf5": keras_h5.read,
    "torch": state_dict.read_pickled,
    "safetensors": state_dict.read_safetensors,
    "torch7": torch7.read,
}


class Weights(NamedTuple):
    """What a file has of an architecture.

    Parameters
    ----------
    state : dict of str to ndarray, float32
        Under the architecture's names and in their order, in PyTorch's axis order, without those
        of layers that the file does not have.
    origin : Origin
        What the file is of.
    absent : tuple of str
        Layers of the head that the file lacks, or has of another size, and those after them.
    left_out : tuple of str
        Names of the file's arrays that are not used.
    mean : tuple of 3 floats, optional
        What the file says is to be subtracted of R, G and B, on the 0–255 scale.
    """

    state: dict[str, NDArray[np.float32]]
    origin: Origin
    absent: tuple[str, ...]
    left_out: tuple[str, ...]
    mean: tuple[float, float, float] | None


def read_weights(path: Path, parameters: Parameters, *, as_rgb: bool = True) -> Weights:
    """Read the weights of a network.

    Parameters
    ----------
    path : Path
        A file of any known format; its name does not matter.
    parameters : Parameters
        What the architecture declares.
    as_rgb : bool
        Turn the first convolution of a file whose origin says that it takes BGR.

    Raises
    ------
    BadInput
        The file is not weights, is damaged, or holds another network; the message says which.
    """
    try:
        found = _READERS[format_of(path)](path, parameters)
        return _checked(found, parameters, turned=as_rgb and found.origin in parameters.bgr)
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error


def _checked(found: FileWeights, parameters: Parameters, *, turned: bool) -> Weights:
    """Compare with the network's shapes, turn the first convolution to RGB, make float32."""
    state, network = found.state, parameters.network
    for name in state:
        if name not in parameters.shapes:
            raise BadInput(f"holds a parameter {name!r}, which {network} does not have.")
    absent = _absent(state, parameters)
    shapes = {k: shape for k, shape in parameters.shapes.items() if layer_of(k) not in absent}
    missing = dict.fromkeys(layer_of(name) for name in shapes if name not in state)
    if missing:
        missing = dict.fromkeys(layer_of(k) for k in parameters.shapes if k not in state)
        raise BadInput(f"lacks {', '.join(missing)}, so it is not a whole {network}.")
    for name, shape in shapes.items():
        if state[name].shape != shape:
            layer, _, kind = name.rpartition(".")
            raise BadInput(
                f"is of another network: the {kind} of {layer} has shape "
                f"{state[name].shape}, where {shape} is expected."
            )
    if turned:
        first = parameters.convolutions[0]
        state[first] = state[first][:, ::-1]
    left_out = (*found.left_out, *(name for name in state if name not in shapes))
    values = {name: _values(name, state[name]) for name in shapes}
    return Weights(values, found.origin, absent, left_out, found.mean)


def _absent(state: Mapping[str, NDArray[Any]], parameters: Parameters) -> tuple[str, ...]:
    """Return the head from the first of its layers on that the file lacks or has otherwise."""
    for at, layer in enumerate(parameters.head):
        wanted = {k: shape for k, shape in parameters.shapes.items() if layer_of(k) == layer}
        if any(name not in state or state[name].shape != wanted[name] for name in wanted):
            return tuple(parameters.head[at:])
    return ()


def _values(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    values = np.require(array, np.float32, ["C", "W", "A"])
    if not math.isfinite(float(values.sum(dtype=np.float64))):
        raise BadInput(f"is damaged: {name} has values that are not finite numbers.")
    return values

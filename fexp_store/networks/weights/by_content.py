"""Reads an architecture's weights from any of the files in use, told apart by their content."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.weights import keras_h5, matconvnet, state_dict, torch7
from fexp_store.networks.weights.layers import ChannelOrder, FileWeights, Parameters, layer_of

_HDF5 = b"\x89HDF\r\n\x1a\n"
_KNOWN = "MatConvNet .mat, Torch7 .t7, a PyTorch state dict (.pth, .pt), .safetensors or Keras .h5"


def read_weights(
    path: Path, parameters: Parameters, *, channels: ChannelOrder | None = None
) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a network.

    Parameters
    ----------
    path : Path
        A file of any known format; its name does not matter.
    parameters : Parameters
        What the architecture declares.
    channels : {"RGB", "BGR"}, optional
        The order of channels that the file's first convolution expects, for a file whose history
        is known to differ from that of others of its format. By default the format decides.

    Returns
    -------
    dict of str to ndarray, float32
        Under the names of `parameters` and in their order, for RGB images, in PyTorch's axis
        order; without those of the head if the file has none of them.

    Raises
    ------
    BadInput
        The file is not weights, is damaged, or holds another network; the message says which.
    """
    try:
        found = _reader(path)(path, parameters)
        if channels is None:
            channels = "BGR" if found.origin in parameters.bgr else "RGB"
        return _checked(found.state, parameters, channels)
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error


def _reader(path: Path) -> Callable[[Path, Parameters], FileWeights]:
    """Choose a reader by the first bytes of the file."""
    if not path.is_file():
        raise BadInput("is not there, or is not a file; give the path of a weights file.")
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        raise BadInput("is empty; fetch it again.")
    if head.startswith(b"MATLAB 5.0"):
        return matconvnet.read
    if head.startswith(b"MATLAB 7.3"):
        raise BadInput("is of MATLAB 7.3, which is not read; save it in MATLAB with '-v7'.")
    if head.startswith(_HDF5):
        return keras_h5.read
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return state_dict.read_pickled
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return state_dict.read_safetensors
    if head[:4] in (b"\x03\0\0\0", b"\x04\0\0\0"):
        return torch7.read
    raise BadInput(_not_weights(head))


def _not_weights(head: bytes) -> str:
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        return "is an archive; unpack it and give the weights file that is inside."
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        start = head[:40].decode(errors="replace").splitlines()[0]
        return f"is a text file, not weights: it begins {start!r}."
    return f"is of no known format: not {_KNOWN}."


def _checked(
    state: dict[str, NDArray[Any]], parameters: Parameters, channels: ChannelOrder
) -> dict[str, NDArray[np.float32]]:
    """Compare with the network's shapes, turn the first convolution to RGB, make float32."""
    headless = not any(layer_of(name) in parameters.head for name in state)
    left_out = parameters.head if headless else ()
    shapes = {k: shape for k, shape in parameters.shapes.items() if layer_of(k) not in left_out}
    missing = dict.fromkeys(layer_of(name) for name in shapes if name not in state)
    if missing:
        raise BadInput(f"lacks {', '.join(missing)}, so it is not a whole {parameters.network}.")
    for name in state:
        if name not in shapes:
            network = parameters.network
            raise BadInput(f"holds a parameter {name!r}, which {network} does not have.")
    for name, shape in shapes.items():
        if state[name].shape != shape:
            layer, _, kind = name.rpartition(".")
            raise BadInput(
                f"is of another network: the {kind} of {layer} has shape "
                f"{state[name].shape}, where {shape} is expected."
            )
    if channels == "BGR":
        first = parameters.convolutions[0]
        state[first] = state[first][:, ::-1]
    return {name: _values(name, state.pop(name)) for name in shapes}


def _values(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    values = np.require(array, np.float32, ["C", "W", "A"])
    if not math.isfinite(float(values.sum(dtype=np.float64))):
        raise BadInput(f"is damaged: {name} has values that are not finite numbers.")
    return values

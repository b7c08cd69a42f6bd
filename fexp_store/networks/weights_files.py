"""Reads VGG weights from any of the files that are in use, told apart by their content."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks import keras_h5, matconvnet, state_dict, torch7
from fexp_store.networks.file_layers import ChannelOrder, FileWeights
from fexp_store.networks.vgg import VGG16

OUTPUTS = {"vgg_face": 2622, "vgg16": 1000}
"""The architectures that can be read, and the units of their fc8."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_KNOWN = "MatConvNet .mat, Torch7 .t7, a PyTorch state dict (.pth, .pt), .safetensors or Keras .h5"


def read_weights(
    path: Path, architecture: str, *, channels: ChannelOrder | None = None
) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a VGG network.

    Parameters
    ----------
    path : Path
        A file of any known format; its name does not matter.
    architecture : {"vgg_face", "vgg16"}
    channels : {"RGB", "BGR"}, optional
        The order of channels that the file's conv1_1 expects, for a file whose history is known
        to differ from that of the public file of its format. By default the format decides.

    Returns
    -------
    dict of str to ndarray, float32
        Under `VGG16`'s parameter names, for RGB images, in PyTorch's axis order. A file with
        the convolutions only gives a dict without ``fc6``, ``fc7`` and ``fc8``: enough for the
        convolutional layers, and for ``VGG16(outputs=None)``.

    Raises
    ------
    BadInput
        The file is not weights, is damaged, or holds another network; the message says which.
    """
    if architecture not in OUTPUTS:
        raise BadInput(f"The architecture {architecture!r} is not one of {', '.join(OUTPUTS)}.")
    with torch.device("meta"):
        shapes = {
            name: tuple(parameter.shape)
            for name, parameter in VGG16(OUTPUTS[architecture]).named_parameters()
        }
    return read_shapes(path, shapes, channels=channels)


def read_shapes(
    path: Path, shapes: Mapping[str, tuple[int, ...]], *, channels: ChannelOrder | None = None
) -> dict[str, NDArray[np.float32]]:
    """Read weights of the given shapes; `read_weights` for a VGG of any width.

    Parameters
    ----------
    path : Path
    shapes : mapping of str to tuple of ints
        Shape of every parameter, in the order of the result.
    channels : {"RGB", "BGR"}, optional
        As in `read_weights`.

    Returns
    -------
    dict of str to ndarray, float32

    Raises
    ------
    BadInput
        As in `read_weights`.
    """
    try:
        found = _reader(path)(path)
        return _checked(found, shapes, channels or found.channels)
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error


def _reader(path: Path) -> Callable[[Path], FileWeights]:
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
    found: FileWeights, shapes: Mapping[str, tuple[int, ...]], channels: str
) -> dict[str, NDArray[np.float32]]:
    """Compare with the network's shapes, turn conv1_1 to RGB, and convert to float32."""
    connected = any(name.startswith("fc") for name in found.state)
    wanted = [name for name in shapes if connected or not name.startswith("fc")]
    missing = dict.fromkeys(name.split(".")[0] for name in wanted if name not in found.state)
    if missing:
        raise BadInput(f"lacks {', '.join(missing)}, so it is not a whole VGG-16.")
    for name in wanted:
        layer, _, kind = name.partition(".")
        actual = found.state[name].shape
        if actual != shapes[name]:
            raise BadInput(
                f"is of another network: the {kind} of {layer} has shape "
                f"{actual}, where {shapes[name]} is expected."
            )
    return {name: _values(name, found.state.pop(name), channels) for name in wanted}


def _values(name: str, array: NDArray[Any], channels: str) -> NDArray[np.float32]:
    if name == "conv1_1.weight" and channels == "BGR":
        array = array[:, ::-1]
    values = np.require(array, np.float32, ["C", "W", "A"])
    if not math.isfinite(float(values.sum(dtype=np.float64))):
        raise BadInput(f"is damaged: {name} has values that are not finite numbers.")
    return values

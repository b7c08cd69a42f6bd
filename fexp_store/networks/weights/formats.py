"""Which format a weights file has, told by its first bytes; what cannot be read is named."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from fexp_store.errors import BadInput

Format = Literal["matlab", "hdf5", "torch", "safetensors", "torch7"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_KNOWN = "MatConvNet .mat, Torch7 .t7, a PyTorch state dict (.pth, .pt), .safetensors or Keras .h5"


def format_of(path: Path) -> Format:
    """Tell the format of a weights file by its content; its name does not matter.

    Raises
    ------
    BadInput
        With the predicate of a sentence whose subject is the file, which says what the file is, if
        that is known, and how to come by one that can be read.
    """
    if not path.is_file():
        raise BadInput("is not there, or is not a file; give the path of a weights file.")
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        raise BadInput("is empty; fetch it again.")
    if head.startswith(b"MATLAB 5.0"):
        return "matlab"
    if head.startswith(b"MATLAB 7.3"):
        raise BadInput("is of MATLAB 7.3, which is not read; save it in MATLAB with '-v7'.")
    if head.startswith(_HDF5):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        _check_zip(path)
        return "torch"
    if head.startswith(b"\x80"):
        return "torch"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "safetensors"
    if head[:4] in (b"\x03\0\0\0", b"\x04\0\0\0"):
        return "torch7"
    raise BadInput(_not_weights(head))


def _check_zip(path: Path) -> None:
    """Refuse archives that are not of ``torch.save``, by their right name."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # PyTorch says what is wrong with it
    parts = {name.partition("/")[2] or name for name in names}
    if "constants.pkl" in parts or any(part.startswith("code/") for part in parts):
        raise BadInput(
            "is a TorchScript program, which is code, and none of it was run; where you trust it, "
            "save its weights: torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')."
        )
    if {"config.json", "model.weights.h5"} <= set(names):
        raise BadInput(
            "is a Keras 3 archive (.keras), which is not read; save it in Keras as HDF5: "
            "model.save('weights.h5')."
        )
    if names and all(name.endswith(".npy") for name in names):
        raise BadInput(
            "is a NumPy archive (.npz), whose names belong to no format of networks; save its "
            "arrays under the module's own names: "
            "safetensors.numpy.save_file(arrays, 'weights.safetensors')."
        )


def _not_weights(head: bytes) -> str:
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        return "is an archive; unpack it and give the weights file that is inside."
    if head.startswith(b"\x93NUMPY"):
        return (
            "is one NumPy array (.npy), not the named weights of a network; activations made "
            "elsewhere are brought in with fexp import."
        )
    # A protobuf whose first field is a small number, the version, and whose next is a message.
    if head[0] == 0x08 and len(head) > 2 and head[1] < 0x40 and head[2] in (0x12, 0x3A, 0x42):
        return (
            "is a graph of ONNX (or another protobuf, as TensorFlow's), which is not read; give "
            "the weights file that it was exported from."
        )
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        start = head[:40].decode(errors="replace").splitlines()[0]
        return f"is a text file, not weights: it begins {start!r}."
    return f"is of no known format: not {_KNOWN}."

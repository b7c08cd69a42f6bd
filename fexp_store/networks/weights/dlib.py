"""A reader of dlib's serialisation format, as far as its face recognition network uses it.

dlib writes a network from its outermost layer inwards: the version of every layer on the way to
the input, then the input layer, then the content of every layer on the way back out. So the
versions come in backward order and the contents in forward order.

An integer is a control byte (the number of bytes that follow, and the sign in the top bit) and
that many little-endian bytes; a real is an integer mantissa and an integer power of two; a text
is its length and its bytes; a flag is the character 0 or 1; a tensor is a version, four sizes
and its values as row-major little-endian float32. Each kind of layer has a version too: read are
those of the published file, as there is no other to test with. Learned from dlib's serialize.h,
float_details.h, cuda/tensor.h, dnn/core.h and dnn/layers.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.preprocessing import Preprocessing

Weights = dict[str, NDArray[np.float32]]
_Size = tuple[int, int, int, int]
_Layer = Callable[["_Reader"], Weights]

_EMPTY: _Size = (0, 0, 0, 0)
_LARGEST_FILE = 32 << 20  # the published file has 22.5 MB, nearly all of it weights
_LARGEST_EXPONENT = 900  # keeps every mantissa of 8 bytes within a double


@dataclass(frozen=True)
class BlockSpec:
    """One residual block: its name, its channels in and out, and whether it halves the side."""

    name: str
    inputs: int
    width: int
    down: bool


@dataclass(frozen=True)
class ResNetSpec:
    """The one network that a file must hold: blocks, units of its last layer, and input."""

    blocks: tuple[BlockSpec, ...]
    embedding: int
    preprocessing: Preprocessing


def read_resnet(path: Path | str, spec: ResNetSpec) -> Weights:
    """Read the weights of a residual network like dlib's ``face_recognition_model_v1``.

    Every size in the file is compared with the one architecture that is read before anything of
    that size is, so a hostile file costs no more than its own length (32 MB at most).

    Parameters
    ----------
    path : Path or str
    spec : ResNetSpec

    Returns
    -------
    dict of str to ndarray, float32
        Convolutions of shape (outputs, inputs, height, width), affines and biases of shape
        (channels,), the embedding of shape (units, inputs).

    Raises
    ------
    BadInput
        If the file cannot be read, is cut short, holds anything else, or goes on after the end.
    """
    try:
        n_bytes = min(Path(path).stat().st_size, _LARGEST_FILE)
        with Path(path).open("rb") as file:
            data = file.read(n_bytes)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    reader = _Reader(data, path)
    weights = _network(reader, spec)
    reader.end()
    return weights


class _Reader:
    """A position in the bytes of a file, and the elements of the format read from there."""

    def __init__(self, data: bytes, path: Path | str) -> None:
        self._data = memoryview(data)
        self._path = path
        self._at = 0

    def wrong(self, what: str) -> NoReturn:
        raise BadInput(
            f"{self._path} is not the network expected ({what} before byte {self._at}); "
            "give dlib_face_recognition_resnet_model_v1.dat."
        )

    def damaged(self, what: str) -> NoReturn:
        place = f"byte {self._at} of {len(self._data)}"
        raise BadInput(f"{self._path} {what} (at {place}); it is damaged, so fetch it again.")

    def end(self) -> None:
        if self._at != len(self._data):
            self.damaged("goes on after the network's end")

    def take(self, n_bytes: int) -> memoryview:
        if n_bytes > len(self._data) - self._at:
            self.damaged("ends before the network does")
        self._at += n_bytes
        return self._data[self._at - n_bytes : self._at]

    def integer(self) -> int:
        control = self.take(1)[0]
        n_bytes = control & 0x0F
        if control & 0x70 or not 1 <= n_bytes <= 8:
            self.wrong("a malformed integer")
        magnitude = int.from_bytes(self.take(n_bytes), "little")
        return -magnitude if control & 0x80 else magnitude

    def integers(self, what: str, *expected: int) -> None:
        found = [self.integer() for _ in expected]
        if found != list(expected):
            texts = (", ".join(map(str, values)) for values in (found, expected))
            self.wrong(f"{what} " + " instead of ".join(texts))

    def reals(self, count: int) -> list[float]:
        parts = [(self.integer(), self.integer()) for _ in range(count)]
        if any(abs(exponent) > _LARGEST_EXPONENT for _, exponent in parts):
            self.wrong("a number that is out of range or not finite")
        return [math.ldexp(mantissa, exponent) for mantissa, exponent in parts]

    def name(self, expected: str) -> None:
        self.integers(f"{expected!r} with a name of length", len(expected))
        found = bytes(self.take(len(expected))).decode("ascii", "backslashreplace")
        if found != expected:
            self.wrong(f"{found!r} instead of {expected!r}")

    def tensor(self, what: str, size: _Size) -> NDArray[np.float32]:
        self.integers(f"{what} of version and size", 2, *size)
        values = np.frombuffer(self.take(4 * math.prod(size)), "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            self.wrong(f"{what} that are not all finite")
        return values

    def view(self, what: str, size: _Size) -> None:
        """Read a view into a tensor: its size, and no values."""
        self.integers(f"{what} of version and size", 1, *size)


def _network(reader: _Reader, spec: ResNetSpec) -> Weights:
    reader.integers("a loss of version", 1)
    reader.name("loss_metric_2")
    reader.reals(2)  # margin and distance threshold, of use to training alone
    layers = list(_inner_to_outer(spec))
    for layer in reversed(layers):
        reader.integers("a layer of version", 1 if layer is None else 2)
    reader.integers("a first layer of version", 3)
    _input(reader, spec.preprocessing)
    first = spec.blocks[0].inputs
    weights = _convolution("conv1.conv", (first, 3, 7, 7), stride=2)(reader)
    _training_state(reader)
    # dlib wraps its first layer around the input, the others around a layer: one more field.
    reader.integers("a first layer with a sample expansion factor of", 1)
    for layer in layers:
        if layer is not None:
            weights |= layer(reader)
            _training_state(reader)
    return weights


def _inner_to_outer(spec: ResNetSpec) -> Iterator[_Layer | None]:
    """Yield each layer after the first; None is a tag or a skip, which has a version alone."""
    yield _affine("conv1.affine", spec.blocks[0].inputs)
    yield _weightless("relu_")
    yield _weightless("max_pool_2", 3, 3, 2, 2, 0, 0)  # sides, strides, paddings
    for block in spec.blocks:
        yield from _block(block)
    yield _weightless("avg_pool_2", 0, 0, 1, 1, 0, 0)  # a side of 0 is all of the input's
    yield _embedding(spec.blocks[-1].width, spec.embedding)


def _block(block: BlockSpec) -> Iterator[_Layer | None]:
    name, width = block.name, block.width
    yield None  # tag1: the block's input
    yield _convolution(f"{name}.conv_a", (width, block.inputs, 3, 3), stride=1 + block.down)
    yield _affine(f"{name}.affine_a", width)
    yield _weightless("relu_")
    yield _convolution(f"{name}.conv_b", (width, width, 3, 3), stride=1)
    yield _affine(f"{name}.affine_b", width)
    if block.down:
        yield None  # tag2: the result so far
        yield None  # skip1: back to the block's input
        yield _weightless("avg_pool_2", 2, 2, 2, 2, 0, 0)
    yield _weightless("add_prev_")
    yield _weightless("relu_")


def _input(reader: _Reader, expected: Preprocessing) -> None:
    reader.name("input_rgb_image_sized")
    mean = reader.reals(3)
    if not np.allclose(mean, expected.mean, rtol=0, atol=1e-4):
        reader.wrong(f"a mean colour of {mean} instead of {list(expected.mean)}")
    reader.integers("images of size", expected.size, expected.size)


def _training_state(reader: _Reader) -> None:
    if not set(reader.take(3)) <= set(b"01"):
        reader.wrong("a malformed flag")
    for what in ("input gradients", "outputs", "gradients"):
        reader.tensor(what, _EMPTY)


def _convolution(name: str, size: _Size, stride: int) -> _Layer:
    filters, side = size[0], size[3]
    padding = 0 if stride > 1 else side // 2
    n_weights = math.prod(size)

    def read(reader: _Reader) -> Weights:
        reader.name("con_4")
        values = reader.tensor(f"weights of {name}", (n_weights + filters, 1, 1, 1))
        geometry = (filters, side, side, stride, stride, padding, padding)
        reader.integers(f"{name} with filters, sides, strides, paddings", *geometry)
        reader.view(f"filters of {name}", size)
        reader.view(f"biases of {name}", (1, filters, 1, 1))
        reader.reals(4)  # multipliers of the learning rate and of the weight decay
        weight, bias = values[:n_weights].reshape(size), values[n_weights:]
        return {f"{name}.weight": weight, f"{name}.bias": bias}

    return read


def _affine(name: str, channels: int) -> _Layer:
    def read(reader: _Reader) -> Weights:
        reader.name("affine_")
        values = reader.tensor(f"weights of {name}", (2 * channels, 1, 1, 1))
        for part in ("scales", "shifts"):
            reader.view(f"{part} of {name}", (1, channels, 1, 1))
        reader.integers(f"{name} in mode", 0)  # 0: one scale a channel, not one a unit
        return {f"{name}.weight": values[:channels], f"{name}.bias": values[channels:]}

    return read


def _weightless(name: str, *settings: int) -> _Layer:
    def read(reader: _Reader) -> Weights:
        reader.name(name)
        reader.integers(f"{name} with settings", *settings)
        return {}

    return read


def _embedding(inputs: int, outputs: int) -> _Layer:
    size: _Size = (inputs, outputs, 1, 1)

    def read(reader: _Reader) -> Weights:
        reader.name("fc_2")
        reader.integers("an embedding with outputs, inputs", outputs, inputs)
        values = reader.tensor("weights of the embedding", size)
        reader.view("weights of the embedding", size)
        reader.view("biases of the embedding", _EMPTY)
        reader.integers("an embedding in mode", 1)  # 1: without biases
        reader.reals(4)
        # dlib multiplies a row of inputs by this matrix, torch by its transpose.
        return {"embedding.weight": values.reshape(size[:2]).T.copy()}

    return read

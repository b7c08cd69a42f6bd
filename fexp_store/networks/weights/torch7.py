"""Reads networks that Torch7 (Lua) serialised in binary: Oxford's ``VGG_FACE.t7``.

Layout, and where it was read:

- objects: ``File.lua`` in github.com/torch/torch7 (``readObject``); tensors and storages:
  ``generic/Tensor.c`` and ``generic/Storage.c`` there; longs have 8 bytes, all little-endian;
- the network: an ``nn.Sequential`` of 40 modules whose convolutions are
  ``nn.SpatialConvolutionMM`` (weight of shape out x (in * height * width)), then ``nn.View``
  and three ``nn.Linear``: listed in public notes on the file, loaded so by ``models/vgg_face.py``
  in github.com/prlz77/vgg-face.pytorch;
- it expects BGR: Oxford's own example in Lua reorders the planes of ``image.load`` by
  ``{3,2,1}`` before the network, and prlz77's issue 2 says the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.networks.weights.layers import FileLayer, FileWeights, Parameters, to_state

_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN, _FUNCTION = range(7)
_CLOSURES = (7, 8)
_DEEPEST = 100

_INTEGERS = {"Byte": "<u1", "Char": "<i1", "Short": "<i2", "Int": "<i4", "Long": "<i8"}
_REALS = {"Float": "<f4", "Double": "<f8", "Cuda": "<f4", "CudaDouble": "<f8"}
_TYPES = _INTEGERS | _REALS
_STORAGES = {f"torch.{name}Storage": np.dtype(code) for name, code in _TYPES.items()}
_TENSORS = {f"torch.{name}Tensor" for name in _TYPES}

_CUT_SHORT = "is cut short or damaged: it ends, or makes no sense, after {} bytes."


class Module(dict[Any, Any]):
    """A Lua table, or the fields of a Torch object with the name of its class."""

    kind: str = ""


def read(path: Path, parameters: Parameters) -> FileWeights:
    """Read the network in a Torch7 file."""
    content = np.asarray(np.memmap(path, np.uint8, mode="r"))
    modules = _weighted(_Reader(content).read())
    layers = [_layer(module, parameters.network) for module in modules]
    if not layers:
        raise BadInput("is a Torch7 file without a network: no module in it has weights.")
    return FileWeights(to_state(layers, parameters), "torch7")


def _weighted(top: Any) -> Iterator[Module]:
    """Yield the modules with weights, depth first; a stack, for links may form any shape."""
    stack, seen = [top], set()
    while stack:
        module = stack.pop()
        if not isinstance(module, Module) or id(module) in seen:
            continue
        seen.add(id(module))
        weight = module.get("weight")
        if isinstance(weight, np.ndarray) and weight.size:
            yield module
            continue
        inside = module.get("modules")
        table = inside if isinstance(inside, Module) else module if not module.kind else Module()
        # Numbered modules run in the order of their numbers, whatever the order in the file.
        keys = sorted(table, key=lambda key: (isinstance(key, str), key))
        stack.extend(table[key] for key in reversed(keys))


def _layer(module: Module, network: str) -> FileLayer:
    weight, bias = module["weight"], module.get("bias")
    if not isinstance(bias, np.ndarray):
        raise BadInput(f"holds a {module.kind} without a bias, which {network} does not have.")
    if "SpatialConvolution" in module.kind and weight.ndim == 2:
        height, width = (_side(module.get(key)) for key in ("kH", "kW"))
        if weight.shape[1] % (height * width):
            raise BadInput(f"holds a {module.kind} whose weight and kernel size do not agree.")
        weight = weight.reshape(len(weight), -1, height, width)
    return FileLayer("", weight, bias)


def _side(value: Any) -> int:
    return int(value) if isinstance(value, float) and 1 <= value <= 1000 else 1


class _Reader:
    """Reads objects from the bytes of a file, and trusts no number in them."""

    def __init__(self, content: NDArray[np.uint8]) -> None:
        self._content = content
        self._at = 0
        self._objects: dict[int, Any] = {}

    def read(self, depth: int = 0) -> Any:
        """Read the object at the current place."""
        if depth > _DEEPEST:
            raise BadInput(f"is damaged: its objects lie more than {_DEEPEST} deep in each other.")
        kind = self._int()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return float(self._take("<f8", 1)[0])
        if kind == _BOOLEAN:
            return self._int() == 1
        if kind == _STRING:
            return self._string()
        if kind == _FUNCTION:
            return self._closure(depth)
        if kind not in (_TABLE, _TORCH, *_CLOSURES):
            raise self._damaged()
        index = self._int()
        if index not in self._objects:
            self._objects[index] = None
            self._fill(index, kind, depth)
        return self._objects[index]

    def _fill(self, index: int, kind: int, depth: int) -> None:
        """Read the object that is numbered `index`, known by its number before it is complete."""
        if kind in _CLOSURES:
            self._closure(depth)
        elif kind == _TABLE:
            self._objects[index] = table = Module()
            self._table(table, depth)
        else:
            self._torch(index, depth)

    def _closure(self, depth: int) -> None:
        """Pass over a Lua function: its byte code, then the table of what it refers to."""
        self._string()
        self.read(depth + 1)

    def _table(self, table: Module, depth: int) -> None:
        for _ in range(self._count()):
            key, value = self.read(depth + 1), self.read(depth + 1)
            if isinstance(key, str | float):
                table[key] = value

    def _torch(self, index: int, depth: int) -> None:
        name = self._string()
        # The oldest files have no version before the name of the class.
        if name.startswith("V "):
            name = self._string()
        if name in _STORAGES:
            self._objects[index] = self._take(_STORAGES[name], self._count(long=True))
        elif name in _TENSORS:
            self._objects[index] = self._tensor(depth)
        else:
            self._objects[index] = module = Module()
            module.kind = name
            fields = self.read(depth + 1)
            module.update(fields if isinstance(fields, Module) else {})

    def _tensor(self, depth: int) -> NDArray[Any]:
        """Read sizes, strides and place in a storage, and return that view of the storage."""
        axes = self._count()
        if axes > 16:
            raise self._damaged()
        sizes, strides = (self._take("<i8", axes).tolist() for _ in range(2))
        start = int(self._take("<i8", 1)[0]) - 1
        storage = self.read(depth + 1)
        if not axes or not isinstance(storage, np.ndarray) or storage.ndim != 1:
            return np.empty(0, np.float32)
        if min(sizes) < 1 or min(strides) < 0 or start < 0:
            raise self._damaged()
        last = start + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
        if last >= storage.size or math.prod(sizes) > storage.size:
            raise BadInput("is damaged: a tensor reaches past the end of its storage.")
        # The stride of an axis of 1 is never used, and may be anything.
        used = (step if size > 1 else 0 for size, step in zip(sizes, strides, strict=True))
        bytes_apart = [step * storage.itemsize for step in used]
        return np.lib.stride_tricks.as_strided(storage[start:], sizes, bytes_apart, writeable=False)

    def _string(self) -> str:
        return self._take("<u1", self._count()).tobytes().decode("latin-1")

    def _int(self) -> int:
        return int(self._take("<i4", 1)[0])

    def _count(self, long: bool = False) -> int:
        """Read a number of things that follow, each of at least one byte."""
        count = int(self._take("<i8" if long else "<i4", 1)[0])
        if not 0 <= count <= self._content.size - self._at:
            raise self._damaged()
        return count

    def _take(self, dtype: str | np.dtype[Any], count: int) -> NDArray[Any]:
        """Return the next `count` values as a view of the file, and step past them."""
        dtype = np.dtype(dtype)
        end = self._at + count * dtype.itemsize
        if end > self._content.size:
            raise self._damaged()
        taken = self._content[self._at : end].view(dtype)
        self._at = end
        return taken

    def _damaged(self) -> BadInput:
        return BadInput(_CUT_SHORT.format(self._at))

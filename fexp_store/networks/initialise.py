"""Seeded random weights that are the same bytes on every machine, and the hash that shows it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fexp_store.errors import BadInput

INITS = ("kaiming_normal", "xavier_normal", "lecun_normal", "gaussian:<sd>")
"""The schemes that `initialise` knows; ``gaussian:0.01`` is a standard deviation of 0.01."""

_CHUNK = 1 << 20
_ZERO = ("bias", "shift", "beta")
_ONE = ("scale", "gamma")


def initialise(module: nn.Module, init: str, seed: int) -> None:
    """Set every parameter of a network, in place, as an untrained twin has it.

    Weights are normal with mean 0; biases and shifts are 0, scales of normalisation layers 1,
    running means 0 and running variances 1. Each weight has its own stream,
    ``PCG64(SeedSequence([seed, *sha256(name) as 8 little-endian uint32]))``, filled in
    row-major order, so that a parameter's values depend on its name and shape alone: a body
    without its fc layers has the same convolutions.

    Parameters
    ----------
    module : nn.Module
    init : str
        ``kaiming_normal`` (variance 2 / fan in), ``xavier_normal`` (2 / (fan in + fan out)),
        ``lecun_normal`` (1 / fan in), or ``gaussian:SD`` such as ``gaussian:0.01``.
    seed : int
        At least 0.

    Raises
    ------
    BadInput
        The scheme is unknown, the seed is negative, or a parameter has no rule.

    References
    ----------
    He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; LeCun et al. 1998, Efficient BackProp.
    """
    _standard_deviation(init, 1, 1)
    if seed < 0:
        raise BadInput(f"The seed is {seed}; give a whole number of at least 0.")
    for name, parameter in sorted(module.named_parameters()):
        _fill(name, parameter, init, seed)
    for name, buffer in module.named_buffers():
        kind = name.rpartition(".")[2]
        if kind in ("running_mean", "num_batches_tracked"):
            buffer.zero_()
        elif kind == "running_var":
            buffer.fill_(1)


def _fill(name: str, parameter: nn.Parameter, init: str, seed: int) -> None:
    kind = name.rpartition(".")[2]
    data = parameter.detach()
    if kind.endswith(_ZERO):
        data.zero_()
    elif kind.endswith(_ONE) or (kind == "weight" and data.ndim == 1):
        data.fill_(1)
    elif data.ndim >= 2:
        field = math.prod(data.shape[2:])
        deviation = _standard_deviation(init, data.shape[1] * field, data.shape[0] * field)
        _draw(data, _generator(name, seed), deviation)
    else:
        raise BadInput(f"No rule says how to initialise {name}, of shape {tuple(data.shape)}.")


def _standard_deviation(init: str, fan_in: int, fan_out: int) -> float:
    scheme, _, argument = init.partition(":")
    if scheme == "gaussian" and argument:
        try:
            deviation = float(argument)
        except ValueError:
            deviation = math.nan
        if 0 < deviation < math.inf:
            return deviation
    variances = {
        "kaiming_normal": 2 / fan_in,
        "xavier_normal": 2 / (fan_in + fan_out),
        "lecun_normal": 1 / fan_in,
    }
    if init not in variances:
        raise BadInput(f"The initialisation {init!r} is not one of {', '.join(INITS)}.")
    return math.sqrt(variances[init])


def _generator(name: str, seed: int) -> np.random.Generator:
    digest = np.frombuffer(hashlib.sha256(name.encode()).digest(), "<u4")
    sequence = np.random.SeedSequence([seed, *digest.tolist()])
    return np.random.Generator(np.random.PCG64(sequence))


def permute(module: nn.Module, seed: int) -> None:
    """Shuffle the weights of a network within each layer, in place.

    Every parameter with two axes or more (kernels, matrices, embeddings) has its entries in
    another order, all of them together, from a stream of its own as in `initialise`. Each layer so
    keeps its distribution of weights and loses their arrangement. Vectors (biases, scales and
    shifts of normalisation) and running statistics are left as they are: once all weights are
    shuffled the channels of a layer are exchangeable, so shuffling their vectors too would only
    take apart the ones that belong together, such as a running mean and its variance.

    Parameters
    ----------
    module : nn.Module
    seed : int
        At least 0.
    """
    for name, parameter in sorted(module.named_parameters()):
        data = parameter.detach()
        if data.ndim >= 2:
            values = data.contiguous().reshape(-1)
            bits = values.view(torch.int16) if data.dtype is torch.bfloat16 else values
            _generator(name, seed).shuffle(bits.numpy())
            data.copy_(values.reshape(data.shape))


def _draw(data: torch.Tensor, generator: np.random.Generator, deviation: float) -> None:
    """Fill `data` with normal values in row-major order, a few rows at a time."""
    rows = max(1, _CHUNK * len(data) // max(1, data.numel()))
    for start in range(0, len(data), rows):
        part = data[start : start + rows]
        # Drawn in double and rounded: numpy's ziggurat calls the C library's log1p and exp,
        # whose last bit differs between platforms. In single precision it reaches the result.
        values = generator.standard_normal(tuple(part.shape)) * deviation
        part.copy_(torch.from_numpy(values.astype(np.float32)))


def weights_sha256(state: Mapping[str, torch.Tensor | NDArray[Any]]) -> str:
    """Hash weights by content: names, types, shapes and values, whatever file they came from.

    Parameters
    ----------
    state : mapping of str to tensor or ndarray
        In any order; a tensor and an array of the same values give the same hash.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(b"fexp-weights-1\n")
    for name in sorted(state):
        dtype, values = _little_endian(state[name])
        header = json.dumps([name, dtype, list(values.shape)]).encode()
        # With the header's length before it and the values' length in it, two different
        # states cannot run together into the same bytes.
        digest.update(len(header).to_bytes(8, "little") + header)
        digest.update(values.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _little_endian(value: torch.Tensor | NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Return the name of the type and contiguous little-endian values."""
    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu().contiguous()
        if tensor.dtype is torch.bfloat16:
            return "bfloat16", _little_endian(tensor.view(torch.int16))[1]
        value = tensor.numpy()
    dtype = value.dtype.newbyteorder("<")
    # ascontiguousarray would turn a scalar into shape (1,).
    return value.dtype.name, np.asarray(value, dtype=dtype, order="C")

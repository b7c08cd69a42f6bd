"""Copies of modules without memory, to ask them for shapes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import chain

import torch
from torch import nn


def on_meta(module: nn.Module) -> nn.Module:
    """Copy a module to the ``meta`` device, without a copy of its tensors on the way.

    Returns
    -------
    nn.Module
        Of its own structure, whatever its weights file made of it, in evaluation mode.
    """
    memo: dict[int, object] = {}
    for tensor in chain(module.parameters(), module.buffers()):
        empty = tensor.detach().to("meta")
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(empty, requires_grad=False) if is_parameter else empty
    return copy.deepcopy(module, memo).eval()


def built_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a module without memory, or with it where it cannot be built otherwise.

    torchvision's regnet draws its weights by numbers that it reads back.
    """
    try:
        with torch.device("meta"):
            return build().eval()
    except (NotImplementedError, RuntimeError):
        return on_meta(build())

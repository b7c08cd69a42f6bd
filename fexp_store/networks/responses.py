"""The responses of named layers in one forward pass that stops at the deepest of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn


class _Stop(Exception):
    """Ends a forward pass once every wanted module has responded."""


def responses(
    module: nn.Module, paths: Mapping[str, str], x: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Run a network on a batch and return what some of its modules put out.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode; none of its modules may work in place on the output of a wanted one.
    paths : mapping of str to str
        Layer name -> path of a submodule.
    x : tensor of shape (n_images, 3, height, width)

    Returns
    -------
    dict of str to tensor
        Layer name -> output, of shape (n_images, channels, height, width) or (n_images, units).
    """
    outputs: dict[str, torch.Tensor] = {}

    def keep(layer: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            outputs[layer] = output
            if len(outputs) == len(paths):
                raise _Stop

        return hook

    hooks = [
        module.get_submodule(path).register_forward_hook(keep(layer))
        for layer, path in paths.items()
    ]
    try:
        with torch.inference_mode():
            module(x)
    except _Stop:
        pass
    finally:
        for handle in hooks:
            handle.remove()
    return outputs


def layer_shapes(
    module: nn.Module, paths: Mapping[str, str], size: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer's response to one image, without computing anything.

    Parameters
    ----------
    module : nn.Module
        On the ``meta`` device.
    paths : mapping of str to str
        Layer name -> path of a submodule.
    size : int
        Side of the input in pixels.

    Returns
    -------
    dict of str to tuple of int
        ``(channels, height, width)`` or ``(units,)``, in the order of `paths`.
    """
    outputs = responses(module, paths, torch.empty(1, 3, size, size, device="meta"))
    return {layer: tuple(outputs[layer].shape[1:]) for layer in paths}

"""The activations of named layers in one forward pass that stops at the deepest of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

Hook = Callable[[nn.Module, Any, Any], None]


class _Stop(Exception):  # the pass has what it came for
    """Ends a forward pass once every wanted module has put out its activations."""


def run_layers(
    module: nn.Module,
    paths: Mapping[str, str],
    x: torch.Tensor,
    take: Callable[[str, torch.Tensor], None],
) -> None:
    """Run a network on a batch and hand over what some of its modules put out, as it comes.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    paths : mapping of str to str
        Layer name -> path of a submodule.
    x : tensor of shape (n_images, channels, height, width)
    take : callable
        Called with a layer name and its output, of shape (n_images, channels, height, width) or
        (n_images, units), which it copies at once: a later module may work on it in place. So no
        two outputs have to be kept.
    """
    taken: set[str] = set()

    def keep(layer: str) -> Hook:
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            take(layer, output)
            taken.add(layer)
            if len(taken) == len(paths):
                raise _Stop

        return hook

    with _hooked(module, {path: keep(layer) for layer, path in paths.items()}):
        try:
            with torch.inference_mode():
                module(x)
        except _Stop:
            pass


def activations(
    module: nn.Module, paths: Mapping[str, str], x: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return what `run_layers` hands over, by layer name."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(layer: str, output: torch.Tensor) -> None:
        outputs[layer] = output.clone()

    run_layers(module, paths, x, keep)
    return outputs


def layer_shapes(
    module: nn.Module, paths: Mapping[str, str], size: int, channels: int = 3
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer's activations for one image, without computing anything.

    Parameters
    ----------
    module : nn.Module
        On the ``meta`` device, in evaluation mode.
    paths : mapping of str to str
        Layer name -> path of a submodule.
    size : int
        Side of the input in pixels.
    channels : int
        Channels of the input.

    Returns
    -------
    dict of str to tuple of int
        ``(channels, height, width)`` or ``(units,)``, in the order of `paths`. Without layers that
        put out no tensor, run more than once, or cannot take what an input of this size gives.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    calls: Counter[str] = Counter()

    def keep(layer: str) -> Hook:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            calls[layer] += 1
            if isinstance(output, torch.Tensor) and output.ndim > 1:
                shapes[layer] = tuple(output.shape[1:])

        return hook

    with _hooked(module, {path: keep(layer) for layer, path in paths.items()}):
        try:
            _run_meta(module, size, channels)
        except RuntimeError:
            if not shapes:
                raise
    return {layer: shapes[layer] for layer in paths if calls[layer] == 1 and layer in shapes}


def widest_module(module: nn.Module, size: int, channels: int = 3) -> int:
    """Return the most bytes that one module's input and output take for one image.

    Parameters
    ----------
    module : nn.Module
        On the ``meta`` device, in evaluation mode.
    size : int
        Side of the input in pixels.
    channels : int
        Channels of the input.
    """
    widest = 0

    def measure(_module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal widest
        tensors = [t for t in (*inputs, output) if isinstance(t, torch.Tensor)]
        widest = max(widest, sum(t.numel() * t.element_size() for t in tensors))

    leaves = {path: measure for path, part in module.named_modules() if not [*part.children()]}
    with _hooked(module, leaves):
        _run_meta(module, size, channels)
    return widest


def _run_meta(module: nn.Module, size: int, channels: int) -> None:
    first = next(chain(module.parameters(), module.buffers()), torch.empty(0))
    with torch.inference_mode():
        module(torch.zeros(1, channels, size, size, device=first.device))


@contextmanager
def _hooked(module: nn.Module, hooks: Mapping[str, Hook]) -> Iterator[None]:
    handles = [
        module.get_submodule(path).register_forward_hook(hook) for path, hook in hooks.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

"""The activations of named layers in one forward pass that stops at the deepest of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn

from fexp_store.errors import BadInput

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
        Called with a layer name and its output (`first_tensor`), of shape (n_images, ...), which
        it copies at once: a later module may work on it in place. So no two outputs have to be
        kept.

    Raises
    ------
    BadInput
        If a layer puts out no tensor, or not one row for each image.
    """
    taken: set[str] = set()

    def keep(layer: str) -> Hook:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            response = first_tensor(output)
            rows = None if response is None else len(response)
            if response is None or rows != len(x):
                raise BadInput(
                    f"The layer {layer!r} puts out {'no tensor' if rows is None else rows} for "
                    f"{len(x)} images, not one row for each; take another layer."
                )
            take(layer, response)
            taken.add(layer)
            if len(taken) == len(paths):
                raise _Stop

        return hook

    with hooked(module, {path: keep(layer) for layer, path in paths.items()}):
        try:
            with torch.inference_mode():
                module(x)
        except _Stop:
            pass


def first_tensor(output: Any) -> torch.Tensor | None:
    """Return what counts as the response of a module that may put out more than one tensor.

    Parameters
    ----------
    output : object
        A tensor, or a tuple, list, mapping or dataclass of such, one in the other.

    Returns
    -------
    tensor or None
        The first tensor of at least two axes, depth first: of ``nn.MultiheadAttention`` what it
        attends to and not the weights, of ``nn.LSTM`` the outputs and not the states. It is chosen
        by its place alone, so that it is the same for any number of images.
    """
    if isinstance(output, torch.Tensor):
        return output if output.ndim > 1 else None
    parts: list[Any] = []
    if isinstance(output, Mapping):
        parts = list(output.values())
    elif isinstance(output, (tuple, list)):
        parts = list(output)
    elif is_dataclass(output):
        parts = [getattr(output, field.name) for field in fields(output)]
    return next((found for part in parts if (found := first_tensor(part)) is not None), None)


def activations(
    module: nn.Module, paths: Mapping[str, str], x: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return what `run_layers` hands over, by layer name."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(layer: str, output: torch.Tensor) -> None:
        outputs[layer] = output.clone()

    run_layers(module, paths, x, keep)
    return outputs


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
    with hooked(module, leaves), suppress(RuntimeError):  # of a part whose weights are not there
        run_meta(module, (1, channels, size, size))
    return widest


def run_meta(module: nn.Module, shape: tuple[int, ...]) -> None:
    """Run a network on zeros, on the device of its tensors: on ``meta``, shapes are all there is.

    Parameters
    ----------
    module : nn.Module
    shape : tuple of int
        Of the input: images, channels, rows, columns.
    """
    first = next(chain(module.parameters(), module.buffers()), torch.empty(0))
    with torch.inference_mode():
        module(torch.zeros(shape, device=first.device))


@contextmanager
def hooked(module: nn.Module, hooks: Mapping[str, Hook]) -> Iterator[None]:
    """Hook modules, by path, for the time of a forward pass."""
    handles = [
        module.get_submodule(path).register_forward_hook(hook) for path, hook in hooks.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

"""Which layers of a network can be stored, of what shape and axes, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.axes import (
    Passes,
    Shape,
    leading_tokens,
    maps_among,
    name_axes,
    patches,
    tokens_of,
)
from fexp_store.networks.forward import first_tensor, hooked, run_meta
from fexp_store.warehouse.networks import Layer


@dataclass(frozen=True)
class Survey:
    """What is known of the layers of a network.

    Parameters
    ----------
    layers : tuple of Layer
        Those that can be stored, in the order that was asked for.
    refused : mapping of str to str
        Why the others cannot, by name: ``is called 2 times …``.
    """

    layers: tuple[Layer, ...]
    refused: Mapping[str, str]


def survey(module: nn.Module, paths: Mapping[str, str], size: int, channels: int = 3) -> Survey:
    """Look at the layers of a network, without computing anything.

    It is run for one image and for two, so that a layer whose first axis is not the image is found
    out, and for inputs of other sizes, which tell rows, columns and tokens (`name_axes`).

    Parameters
    ----------
    module : nn.Module
        On the ``meta`` device, in evaluation mode.
    paths : mapping of str to str
        Layer name -> path of a submodule, in forward order.
    size : int
        Side of the input in pixels.
    channels : int
        Of the input.

    Raises
    ------
    BadInput
        If an input of this size does not come to any module.
    """
    modules = {path: part for path, part in module.named_modules() if path}
    modules |= {path: module.get_submodule(path) for path in paths.values()}
    one = _watch(module, modules, (1, channels, size, size))
    if one.error is not None and not one.calls:
        raise BadInput(f"The network takes no input of {size} x {size} pixels: {_said(one.error)}")
    two = _watch(module, modules, (2, channels, size, size))
    reasons = {path: _why_not(path, one, two, size) for path in modules}
    same = {path: one.shapes[path][1:] for path, why in reasons.items() if why is None}
    passes = _passes(module, modules, (channels, size), same)
    lead = leading_tokens(module)
    axes = name_axes(passes, modules, sum(lead))
    grids = patches(maps_among(same, axes))
    layers, refused = [], {}
    for name, path in paths.items():
        if (why := reasons[path]) is not None:
            refused[name] = why
            continue
        found = None
        if "token" in axes[path]:
            found = tokens_of(same[path][axes[path].index("token")], grids, lead)
        of_class, of_register = found or (None, None)
        layers.append(Layer(name, same[path], "float32", axes[path], of_class, of_register))
    return Survey(tuple(layers), refused)


@dataclass(frozen=True)
class _Watched:
    """What modules did in one pass, by path: calls, and the shape that each put out last."""

    calls: Mapping[str, int]
    shapes: Mapping[str, Shape]
    error: Exception | None


def _watch(module: nn.Module, paths: Iterable[str], shape: Shape) -> _Watched:
    calls: dict[str, int] = {}
    shapes: dict[str, Shape] = {}

    def keep(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            calls[path] = calls.get(path, 0) + 1
            if (response := first_tensor(output)) is not None:
                shapes[path] = tuple(response.shape)

        return hook

    error = None
    with hooked(module, {path: keep(path) for path in paths}):
        try:
            run_meta(module, shape)
        except Exception as raised:  # whatever the network says to such an input
            error = raised
    return _Watched(calls, shapes, error)


def _passes(
    module: nn.Module,
    paths: Collection[str],
    sizes: tuple[int, int],
    same: Mapping[str, Shape],
) -> Passes:
    channels, size = sizes

    def shapes(height: int, width: int) -> dict[str, Shape]:
        found = _watch(module, paths, (1, channels, height, width))
        return {path: shape[1:] for path, shape in found.shapes.items()}

    taller, wider = shapes(2 * size, size), shapes(size, 2 * size)
    several = {path for path, shape in same.items() if len(shape) > 1}
    missed = several - (taller.keys() & wider.keys())
    return Passes(size, same, taller, wider, shapes(2 * size, 2 * size) if missed else {})


def _why_not(path: str, one: _Watched, two: _Watched, size: int) -> str | None:
    """Say why a module's output cannot be stored; None if it can."""
    calls, shape = one.calls.get(path, 0), one.shapes.get(path)
    if not calls and one.error is not None:
        return f"is not reached by an input of {size} x {size} pixels: {_said(one.error)}"
    if not calls:
        return "is never called in a forward pass"
    if calls > 1:
        return (
            f"is called {calls} times in a forward pass, so its activations are not one set; take "
            "the module around it"
        )
    if shape is None:
        return "puts out no tensor with an axis for images and one for units"
    if shape[0] != 1:
        return f"puts out {shape[0]} rows for one image, so its units cannot be told apart by image"
    if 0 in shape:
        return "puts out nothing"
    if path not in two.shapes:
        said = "" if two.error is None else f": {_said(two.error)}"
        return f"is not reached by two images at once{said}"
    if two.shapes[path] != (2, *shape[1:]):
        return (
            f"puts out the shape {two.shapes[path]} for two images and {shape} for one, so its "
            "units cannot be told apart by image"
        )
    return None


def _said(error: Exception | None) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__

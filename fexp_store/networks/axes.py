"""What the axes of a layer are: told by what moves with the input's size, never guessed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

from torch import nn
from torch.nn.modules import batchnorm, conv, dropout, instancenorm, pixelshuffle, pooling

from fexp_store.warehouse.networks import Axis

Shape = tuple[int, ...]
Axes = tuple[Axis, ...]

MAP: Axes = ("channel", "row", "col")
CHANNELS_LAST: Axes = ("row", "col", "channel")

_MAKES_MAPS = (
    *(conv.Conv2d, conv.ConvTranspose2d, batchnorm.BatchNorm2d, instancenorm.InstanceNorm2d),
    *(pooling.MaxPool2d, pooling.AvgPool2d, pooling.LPPool2d, pooling.FractionalMaxPool2d),
    *(pooling.AdaptiveAvgPool2d, pooling.AdaptiveMaxPool2d, dropout.Dropout2d),
    *(pixelshuffle.PixelShuffle, pixelshuffle.PixelUnshuffle),
)
"""Modules whose output of four axes is (image, channel, row, col) by torch's definition."""

_CLASS_TOKENS = (
    *("class_token", "cls_token", "class_embedding"),
    *("dist_token", "distillation_token"),
)
_REGISTER_TOKENS = ("reg_token", "register_tokens")


@dataclass(frozen=True)
class Passes:
    """Shapes that modules put out for one image, by path, for inputs of several sizes.

    Parameters
    ----------
    size : int
        Side of the input.
    same, taller, wider, larger : mapping of str to tuple of int
        For an input of the network's own size, of twice its height, its width, and both. Modules
        that a pass did not come to are not in it.
    """

    size: int
    same: Mapping[str, Shape]
    taller: Mapping[str, Shape]
    wider: Mapping[str, Shape]
    larger: Mapping[str, Shape]

    def moved(self, path: str) -> Axes | None:
        """Name the axes of a module by what moves; None where nothing does.

        What grows with the height is a row, with the width a column, with both a token. Where the
        network takes squares only, two axes that grow are row and column, and one is the token.
        """
        shape = self.same[path]
        if path in self.taller and path in self.wider:
            rows = _changed(shape, self.taller[path])
            cols = _changed(shape, self.wider[path])
        elif path in self.larger:
            grown = sorted(_changed(shape, self.larger[path]))
            rows, cols = (set(grown), set(grown)) if len(grown) == 1 else _halves(grown)
        else:
            return None
        if not rows and not cols:
            return None
        words: list[Axis | None] = [None] * len(shape)
        for axis in rows | cols:
            if axis < len(shape):
                words[axis] = "token" if axis in rows & cols else "row" if axis in rows else "col"
        return _filled(words)

    def reached(self, path: str) -> bool:
        """Whether a pass with an input of another size came to a module."""
        return path in self.larger or (path in self.taller and path in self.wider)


def name_axes(passes: Passes, modules: Mapping[str, nn.Module], prefix: int) -> dict[str, Axes]:
    """Name the axes of every layer, or none of them where nothing tells.

    Parameters
    ----------
    passes : Passes
    modules : mapping of str to nn.Module
    prefix : int
        Class and register tokens of the network.

    Returns
    -------
    dict of str to tuple of str
        By path. A layer of one axis has channels, each a unit. What moves with the input's size
        says most. A layer that does not move, or that no pass with another size comes to, has the
        axes of a map of the same shape, channels first or last; where it was not come to, also by
        two equal sides that divide those of the network's largest map (where it has none, of its
        input), or tokens by their number.
    """
    named: dict[str, Axes] = {}
    for path, shape in passes.same.items():
        if len(shape) == 1:
            named[path] = ("channel",)
        elif (found := passes.moved(path)) is not None:
            named[path] = found
        elif len(shape) == 3 and isinstance(modules[path], _MAKES_MAPS):
            named[path] = MAP
    maps = maps_among(passes.same, named)
    tokens = {count + more for count in patches(maps) for more in (0, prefix)}
    for path, shape in passes.same.items():
        if path not in named:
            free = not passes.reached(path)
            named[path] = _like_a_map(shape, maps) or (
                _alone(shape, passes.size, maps, tokens) if free else ()
            )
    return named


def maps_among(shapes: Mapping[str, Shape], named: Mapping[str, Axes]) -> set[Shape]:
    """Return the shapes of maps, each as (channels, rows, columns)."""
    found = {shapes[path] for path, axes in named.items() if axes == MAP}
    last = (shapes[path] for path, axes in named.items() if axes == CHANNELS_LAST)
    return found | {(channels, rows, cols) for rows, cols, channels in last}


def patches(maps: Collection[Shape]) -> set[int]:
    """Return how many places maps have: as many patches may stand in a row as tokens."""
    return {rows * cols for _, rows, cols in maps if rows * cols > 1}


def leading_tokens(module: nn.Module) -> tuple[int, int]:
    """Return how many class tokens (with those of distillation) and register tokens a network has.

    They are read off its parameters, by the names that torchvision, timm and transformers give
    them: ``class_token``, ``cls_token``, ``class_embedding``, ``dist_token``,
    ``distillation_token``; ``reg_token``, ``register_tokens``.
    """
    counts = {"class": 0, "register": 0}
    for name, parameter in module.named_parameters():
        word = name.rpartition(".")[2]
        kind = "class" if word in _CLASS_TOKENS else "register"
        if kind == "class" or word in _REGISTER_TOKENS:
            counts[kind] += parameter.shape[-2] if parameter.ndim > 1 else 1
    return counts["class"], counts["register"]


def tokens_of(count: int, grids: Collection[int], lead: tuple[int, int]) -> tuple[int, int] | None:
    """Return how many of a layer's tokens are class and register tokens; None if nothing tells.

    Parameters
    ----------
    count : int
        Tokens of the layer.
    grids : collection of int
        Numbers of patches of the network's maps.
    lead : (int, int)
        Class and register tokens of the network.
    """
    found = {some for some in ((0, 0), lead) if count - sum(some) in grids}
    return found.pop() if len(found) == 1 else None


def _changed(one: Shape, other: Shape) -> set[int]:
    if len(one) != len(other):
        return {max(len(one), len(other))}  # no axis of the layer: nothing can be named
    return {axis for axis, (a, b) in enumerate(zip(one, other, strict=True)) if a != b}


def _halves(grown: Sequence[int]) -> tuple[set[int], set[int]]:
    half = len(grown) // 2
    return set(grown[:half]), set(grown[half:])


def _filled(words: Sequence[Axis | None]) -> Axes:
    """Give the one axis that has no name its own; no names at all if there are two such."""
    rest: Axis = "dim" if "token" in words else "channel"
    full = tuple(rest if word is None else word for word in words)
    return full if len(set(full)) == len(full) and {*full} & {"row", "col", "token"} else ()


def _like_a_map(shape: Shape, maps: Collection[Shape]) -> Axes:
    if len(shape) != 3:
        return ()
    first, last = shape in maps, (shape[2], *shape[:2]) in maps
    return () if first == last else MAP if first else CHANNELS_LAST


def _alone(shape: Shape, size: int, maps: Collection[Shape], tokens: Collection[int]) -> Axes:
    """Name the axes of a layer that no other size of the input comes to, by its own shape."""
    if len(shape) == 2:
        counts = [axis in tokens for axis in shape]
        return () if counts[0] == counts[1] else ("token", "dim") if counts[0] else ("dim", "token")
    if len(shape) == 3:
        whole = max((rows for _, rows, _ in maps), default=size)
        side = shape[1]
        if side == 1 or whole % side or side in tokens:
            return ()
        # (heads, tokens, tokens) is no map: a window of tokens has a square number of them.
        first = side == shape[2] and isqrt(side) ** 2 != side
        last = side == shape[0]
        return () if first == last else MAP if first else CHANNELS_LAST
    return ()

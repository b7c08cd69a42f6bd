"""Modules with their weights: published, of a file, drawn, shuffled, or set by their code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.architecture import Architecture
from fexp_store.networks.initialise import initialise, permute, weights_sha256
from fexp_store.networks.weights.fitting import FromFile


@dataclass(frozen=True)
class Built:
    """A module with its weights.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    source : str
        Where the weights are from, as it is stored.
    found : FromFile, optional
        What was read of the user's file; None for weights that are published or drawn.
    """

    module: nn.Module
    source: str
    found: FromFile | None = None


class Wanted(NamedTuple):
    """Which weights a module is to have.

    Parameters
    ----------
    weights : Path or None
        The user's file; None for those that are published, drawn or the code's own.
    init : str or None
        How they are drawn; None for those that are not.
    permuted : bool
        Whether they are then shuffled.
    seed : int
        Of drawn or shuffled ones.
    channels : str
        Order in which the channels of the input are fed.
    size : int
        Side of the input in pixels.
    """

    weights: Path | None
    init: str | None
    permuted: bool
    seed: int
    channels: str
    size: int


def build(arch: Architecture, wanted: Wanted) -> Built:
    """Build a module with its weights.

    Raises
    ------
    BadInput
        If they cannot be read, or there are none.
    """
    built = _build(arch, wanted)
    built.module.eval().requires_grad_(requires_grad=False)
    if (wanted.init or wanted.permuted) and not built.module.state_dict():
        raise BadInput(f"{arch.name} has no weights to draw or to shuffle; add it as it is.")
    if not wanted.permuted:
        return built
    permute(built.module, wanted.seed)
    return Built(built.module, f"permuted:{built.source}", built.found)


def _build(arch: Architecture, wanted: Wanted) -> Built:
    module = arch.build()
    if wanted.init is not None:
        initialise(module, wanted.init, wanted.seed)
        return Built(module, f"untrained:{wanted.init}")
    if wanted.weights is not None:
        found = arch.read_weights(
            wanted.weights, module, channels=wanted.channels, size=wanted.size
        )
        return Built(module, f"file:{wanted.weights.name}", found)
    if arch.code is not None:
        return Built(module, arch.code)
    if arch.published is not None:
        path = arch.published.path()
        arch.read_weights(path, module, channels="RGB", size=wanted.size)
        return Built(module, arch.published.source)
    if not module.state_dict():
        return Built(module, "none")
    raise BadInput(
        f"No package ships weights for {arch.name}: give a file with --weights, or register it "
        "--untrained."
    )


def content_hash(arch: Architecture, module: nn.Module) -> str:
    """Hash the weights of a module, whose code may not be ours."""
    with arch.told():
        return weights_sha256(module.state_dict())

"""What an architecture is: how it is built, what its layers are called, what it takes as input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from numpy.typing import NDArray
from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.weights.fitting import FromFile, fit
from fexp_store.warehouse.hashing import file_sha256


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that can be had by name, without a file from the user.

    Parameters
    ----------
    source : str
        Where they are from, as it is stored: ``package:NAME`` or ``torchvision:WEIGHTS``.
    find : callable
        Returns the path of the file, or raises BadInput that says what to do.
    sha256 : str or None
        Hash of the file's bytes; None where `find` has checked it.
    """

    source: str
    find: Callable[[], Path]
    sha256: str | None

    def path(self) -> Path:
        """Return the path of the file once its hash is found right."""
        path = self.find()
        if self.sha256 is not None and file_sha256(path) != self.sha256:
            raise BadInput(f"{path} is not the file that {self.source} has; install it again.")
        return path


class Input(NamedTuple):
    """What a network takes, and by what that is known."""

    preprocessing: Preprocessing
    said: str


class ReadsWeights(Protocol):
    """Sets the weights of a module from a file."""

    def __call__(self, path: Path, module: nn.Module, *, channels: str) -> FromFile:
        """Set them in place, for an input whose channels are in the order ``RGB`` or ``BGR``."""
        ...


@dataclass(frozen=True)
class Architecture:
    """One architecture.

    Parameters
    ----------
    name : str
    build : callable
        Returns the module with parameters allocated but not set.
    layers : mapping of str to str
        Layer name -> path of the module whose output it is, in forward order.
    preprocessing : Preprocessing
        Of the network as it is published or drawn.
    training : str
        What its published weights were trained on.
    read_weights : callable
        Sets the module's weights from a file.
    published : PublishedWeights, optional
        Used when no file is given.
    inputs : mapping of str to Input
        What a file takes as input, by its origin; for an origin that is not there, the user is
        asked.
    trainings : mapping of str to str
        What a file was trained on, by its origin, where that tells.
    """

    name: str
    build: Callable[[], nn.Module]
    layers: Mapping[str, str]
    preprocessing: Preprocessing
    training: str
    read_weights: ReadsWeights
    published: PublishedWeights | None = None
    inputs: Mapping[str, Input] = field(default_factory=dict)
    trainings: Mapping[str, str] = field(default_factory=dict)


def reader(read: Callable[[Path], Mapping[str, NDArray[Any]]], origin: str) -> ReadsWeights:
    """Return what sets the weights of a module from a file that holds all of them.

    Parameters
    ----------
    read : callable
        Reads a file into a state dict of arrays with the module's own names.
    origin : str
        Of all such files.
    """

    def set_weights(path: Path, module: nn.Module, *, channels: str) -> FromFile:
        state = {name: torch.from_numpy(values) for name, values in read(path).items()}
        module.load_state_dict(state)
        return FromFile(origin)

    return set_weights


def fitting(network: str, size: int) -> ReadsWeights:
    """Return what sets weights from a PyTorch or safetensors file, as `fit` does.

    Parameters
    ----------
    network : str
        What messages call it.
    size : int
        Side of the input in pixels.
    """

    def set_weights(path: Path, module: nn.Module, *, channels: str) -> FromFile:
        return fit(path, module, network=network, size=size)

    return set_weights

"""What an architecture is: how it is built, what its layers are called, what it takes as input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from numpy.typing import NDArray
from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.families import fields_given
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


EXAMPLE = (
    '{"size": 224, "resize": 256, "mean": [123.675, 116.28, 103.53], '
    '"std": [58.395, 57.12, 57.375]}'
)
"""A preprocessing: that of most networks of ImageNet."""

_NEEDED = ("size", "mean", "std")
_ANY = Preprocessing(size=224, resize=224, mean=(0, 0, 0), std=(1, 1, 1))


class Input(NamedTuple):
    """What a network takes, and by what that is known."""

    preprocessing: Preprocessing
    said: str


class ReadsWeights(Protocol):
    """Sets the weights of a module from a file."""

    def __call__(self, path: Path, module: nn.Module, *, channels: str, size: int) -> FromFile:
        """Set them in place.

        Parameters
        ----------
        path : Path
        module : nn.Module
        channels : str
            Order in which the channels of the input are fed.
        size : int
            Side of the input in pixels.
        """
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
    preprocessing : Preprocessing or None
        Of the network as it is published or drawn; None where it must be given.
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
    code : str, optional
        For code that is not ours: where the weights are from that it sets itself, as it is stored.
        Such a module may not be able to run on the ``meta`` device.
    channels_last : bool
        Whether its modules can take what has its channels last in memory; code that calls ``view``
        cannot.
    own : Path, optional
        The user's file that builds it.
    told : callable
        Returns a context in which whatever goes wrong in such code becomes a BadInput.
    """

    name: str
    build: Callable[[], nn.Module]
    layers: Mapping[str, str]
    preprocessing: Preprocessing | None
    training: str
    read_weights: ReadsWeights
    published: PublishedWeights | None = None
    inputs: Mapping[str, Input] = field(default_factory=dict)
    trainings: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    channels_last: bool = True
    own: Path | None = None
    told: Callable[[], AbstractContextManager[None]] = nullcontext

    def start(self, given: Mapping[str, Any]) -> Preprocessing:
        """Return its preprocessing with some fields changed, or made of them where it has none.

        Raises
        ------
        BadInput
            If a field is unknown, cannot be used, or is needed and not there.
        """
        if self.preprocessing is not None:
            return self.preprocessing.changed(given)
        return preprocessing_of(given, self.name.partition("@")[0])


def preprocessing_of(given: Mapping[str, Any], network: str) -> Preprocessing:
    """Make a preprocessing for a network that has none of its own.

    Parameters
    ----------
    given : mapping
        Fields of `Preprocessing`, or ``like``: size, mean and std at least; resize is as size by
        default.
    network : str
        For sentences.

    Raises
    ------
    BadInput
        If one that is needed is not there, or one is unknown or cannot be used.
    """
    fields = fields_given(given)
    if missing := [name for name in _NEEDED if name not in fields]:
        raise BadInput(
            f"How an image becomes the input of {network} is not known; say it with "
            f"{', '.join(missing)} (pixels are 0 to 255, channels R, G, B): "
            f"--preprocessing '{EXAMPLE}'"
        )
    return _ANY.changed(fields)


def reader(read: Callable[[Path], Mapping[str, NDArray[Any]]], origin: str) -> ReadsWeights:
    """Return what sets the weights of a module from a file that holds all of them.

    Parameters
    ----------
    read : callable
        Reads a file into a state dict of arrays with the module's own names.
    origin : str
        Of all such files.
    """

    def set_weights(path: Path, module: nn.Module, *, channels: str, size: int) -> FromFile:
        state = {name: torch.from_numpy(values) for name, values in read(path).items()}
        module.load_state_dict(state)
        return FromFile(origin)

    return set_weights


def fitting(network: str) -> ReadsWeights:
    """Return what sets weights from a PyTorch or safetensors file, as `fit` does.

    Parameters
    ----------
    network : str
        What messages call it.
    """

    def set_weights(path: Path, module: nn.Module, *, channels: str, size: int) -> FromFile:
        return fit(path, module, network=network, size=size)

    return set_weights

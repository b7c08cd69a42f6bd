"""What an architecture is: how it is built, what its layers are called, what it takes as input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.warehouse.hashing import file_sha256

EXAMPLE = (
    '{"size": 224, "resize": 256, "mean": [123.675, 116.28, 103.53], '
    '"std": [58.395, 57.12, 57.375]}'
)
"""A preprocessing: that of most networks of ImageNet."""

_NEEDED = ("size", "mean", "std")
_ANY = Preprocessing(size=224, resize=224, mean=(0, 0, 0), std=(1, 1, 1))


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
        None where it must be given.
    training : str
        What its published weights were trained on.
    read_weights : callable
        Reads a weights file into a state dict of arrays with the module's own names.
    published : PublishedWeights, optional
        Used when no file is given.
    build_convolutions : callable, optional
        Returns the module without its fully connected layers, for a file that lacks them.
    code : str, optional
        For code that is not ours: where the weights are from that it sets itself, as it is stored.
        Such a module may not be able to run on the ``meta`` device.
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
    read_weights: Callable[[Path], Mapping[str, NDArray[Any]]]
    published: PublishedWeights | None = None
    build_convolutions: Callable[[], nn.Module] | None = None
    code: str | None = None
    own: Path | None = None
    told: Callable[[], AbstractContextManager[None]] = nullcontext

    def preprocessing_with(self, fields: Mapping[str, Any] | None) -> Preprocessing:
        """Return its preprocessing with some fields changed, or given where it has none.

        Raises
        ------
        BadInput
            If a field is unknown, cannot be used, or is needed and not there.
        """
        if self.preprocessing is not None:
            return self.preprocessing.changed(fields or {})
        return preprocessing_of(fields or {}, self.name.partition("@")[0])


def preprocessing_of(fields: Mapping[str, Any], network: str) -> Preprocessing:
    """Make a preprocessing of fields for a network that has none of its own.

    Parameters
    ----------
    fields : mapping
        Of `Preprocessing`: size, mean and std at least; resize is as size by default.
    network : str
        For sentences.

    Raises
    ------
    BadInput
        If one that is needed is not there, or one is unknown or cannot be used.
    """
    if missing := [name for name in _NEEDED if name not in fields]:
        raise BadInput(
            f"How an image becomes the input of {network} is not known; say it with "
            f"{', '.join(missing)} (pixels are 0 to 255, channels R, G, B): "
            f"--preprocessing '{EXAMPLE}'"
        )
    return _ANY.changed(fields)

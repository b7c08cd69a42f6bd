"""What an architecture is: how it is built, what its layers are called, what it takes as input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.preprocessing import Preprocessing
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
    training : str
        What its published weights were trained on.
    read_weights : callable
        Reads a weights file into a state dict of arrays with the module's own names.
    published : PublishedWeights, optional
        Used when no file is given.
    build_convolutions : callable, optional
        Returns the module without its fully connected layers, for a file that lacks them.
    """

    name: str
    build: Callable[[], nn.Module]
    layers: Mapping[str, str]
    preprocessing: Preprocessing
    training: str
    read_weights: Callable[[Path], Mapping[str, NDArray[Any]]]
    published: PublishedWeights | None = None
    build_convolutions: Callable[[], nn.Module] | None = None

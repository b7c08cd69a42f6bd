"""The architectures that networks are made of, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from fexp_store.errors import BadInput, NotFound
from fexp_store.networks import dlib_format, dlib_resnet, vgg
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.warehouse.files import file_sha256


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that install from a package registry.

    Parameters
    ----------
    package : str
        Name of the distribution.
    find : callable
        Returns the path of the file, or raises BadInput that says what to install.
    sha256 : str
        Hash of the file's bytes.
    """

    package: str
    find: Callable[[], Path]
    sha256: str

    def path(self) -> Path:
        """Return the path of the file once its hash is found right."""
        path = self.find()
        if file_sha256(path) != self.sha256:
            raise BadInput(f"{path} is not the file that {self.package} ships; reinstall it.")
        return path


@dataclass(frozen=True)
class Architecture:
    """One architecture: how to build it, what its layers are called, what it takes as input.

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
    packaged : PackagedWeights, optional
        Used when no file is given.
    """

    name: str
    build: Callable[[], nn.Module]
    layers: Mapping[str, str]
    preprocessing: Preprocessing
    training: str
    read_weights: Callable[[Path], Mapping[str, NDArray[Any]]]
    packaged: PackagedWeights | None = None


def _read_vgg_face(path: Path) -> Mapping[str, NDArray[Any]]:
    raise BadInput(f"{path.name}: reading VGG-Face weights is not there yet; use --untrained.")


ARCHITECTURES = {
    "dlib_face": Architecture(
        name="dlib_face",
        build=dlib_resnet.DlibFaceResNet,
        layers=dlib_resnet.LAYERS,
        preprocessing=dlib_resnet.PREPROCESSING,
        training="face identity",
        read_weights=dlib_format.read_face_resnet,
        packaged=PackagedWeights(
            "face-recognition-models",
            dlib_resnet.packaged_weights,
            dlib_resnet.PACKAGED_WEIGHTS_SHA256,
        ),
    ),
    "vgg_face": Architecture(
        name="vgg_face",
        build=vgg.VGG16,
        layers=vgg.LAYERS,
        preprocessing=vgg.VGG_FACE_PREPROCESSING,
        training="face identity",
        read_weights=_read_vgg_face,
    ),
}


def architecture(name: str) -> Architecture:
    """Return an architecture by name.

    Raises
    ------
    NotFound
        If there is none of that name; the message lists those there are.
    """
    if name not in ARCHITECTURES:
        raise NotFound(f"There is no architecture {name!r}; known: {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]

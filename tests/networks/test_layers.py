"""Layers of every kind: what their axes are, which tokens lead, and which are refused and why."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import timm
import torch
import torchvision
from support.tokens import DIM, SIDE, TOKENS, Out, SmallViT
from torch import nn

from fexp_store import BadInput
from fexp_store.networks.forward import activations, first_tensor
from fexp_store.networks.survey import Survey, survey

MAP, LAST = ("channel", "row", "col"), ("row", "col", "channel")
FLAT, TOKEN = ("channel",), ("token", "dim")


def looked_at(module: nn.Module, size: int) -> Survey:
    paths = {path: path for path, _ in module.named_modules() if path}
    return survey(module.to("meta").eval(), paths, size)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        ("resnet18", 224, {"layer1.0": MAP, "layer4.1": MAP, "avgpool": MAP, "fc": FLAT}),
        ("vgg11", 224, {"features.3": MAP, "avgpool": MAP, "classifier.0": FLAT}),
        ("densenet121", 224, {"features.denseblock1": MAP, "classifier": FLAT}),
        (
            "convnext_tiny",
            224,
            {"features.1.0": MAP, "features.1.0.block.2": LAST, "features.1.0.block.4": LAST},
        ),
        ("swin_t", 224, {"features.0.0": MAP, "features.1.0.attn": LAST, "permute": MAP}),
        ("swin_v2_t", 256, {"features.0": LAST, "features.7.1.mlp": LAST, "norm": LAST}),
        ("vit_b_16", 224, {"conv_proj": MAP, "encoder.ln": TOKEN, "heads": FLAT}),
        (
            "maxvit_t",
            224,
            {
                "blocks.0": MAP,
                "blocks.0.layers.0.layers.window_attention.attn_layer": (),
                "classifier.5": FLAT,
            },
        ),
    ],
)
def test_axes_of_torchvision(model: str, size: int, expected: dict[str, tuple[str, ...]]) -> None:
    found = {
        layer.name: layer for layer in looked_at(torchvision.models.get_model(model), size).layers
    }
    assert {name: found[name].axes for name in expected} == expected
    for layer in found.values():
        assert layer.axes is not None
        assert len(layer.axes) in (0, len(layer.shape)), layer
        # A map of a square input is square, whichever axis its channels are.
        sides = {n for word, n in zip(layer.axes, layer.shape, strict=False) if word in LAST[:2]}
        assert len(sides) < 2, layer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "layer", "shape", "lead"),
    [
        ("vit_tiny_patch16_224", "blocks.3", (197, 192), (1, 0)),
        ("vit_tiny_patch16_224", "patch_embed", (196, 192), (0, 0)),
        ("deit_tiny_distilled_patch16_224", "blocks.3", (198, 192), (2, 0)),
        ("vit_small_patch14_reg4_dinov2", "blocks.3.mlp.fc1", (1374, 1536), (1, 4)),
    ],
)
def test_leading_tokens_of_timm(
    model: str, layer: str, shape: tuple[int, ...], lead: tuple[int, int]
) -> None:
    size = timm.get_pretrained_cfg(model).input_size[-1]
    (found,) = (x for x in looked_at(timm.create_model(model), size).layers if x.name == layer)
    assert (found.shape, found.axes) == (shape, TOKEN)
    assert (found.class_tokens, found.register_tokens) == lead


def test_axes_of_a_network_that_takes_one_size_only() -> None:
    found = {layer.name: layer for layer in looked_at(SmallViT(), SIDE).layers}
    axes = {name: layer.axes for name, layer in found.items()}
    assert axes == {
        "patch": MAP,
        "patches": TOKEN,
        "tokens": TOKEN,
        "block": TOKEN,
        "block.attention": TOKEN,
        "block.linear": TOKEN,
        "block.heads": (),  # (heads, tokens, dims): two axes that nothing tells apart
        "turned": ("dim", "token"),
        "recurrent": TOKEN,
        "head": FLAT,
    }
    assert found["tokens"].shape == (TOKENS, DIM)
    lead = {name: (layer.class_tokens, layer.register_tokens) for name, layer in found.items()}
    assert lead["tokens"] == lead["block.attention"] == lead["turned"] == (1, 2)
    assert lead["patches"] == (0, 0)
    assert lead["patch"] == lead["head"] == lead["block.heads"] == (None, None)


def test_layers_that_cannot_be_stored_are_refused_with_the_reason() -> None:
    refused = looked_at(SmallViT(), SIDE).refused
    assert refused.keys() == {
        *("block.act", "block.attention.out_proj", "unused", "windows", "by_step", "number"),
    }
    assert "is called 2 times in a forward pass" in refused["block.act"]
    assert refused["unused"] == "is never called in a forward pass"
    assert refused["windows"].startswith("puts out 4 rows for one image")
    assert refused["by_step"].startswith(f"puts out {TOKENS} rows for one image")
    assert refused["number"].startswith("puts out no tensor")


@pytest.mark.slow
def test_windows_of_attention_are_not_taken_for_images() -> None:
    """A batch of 2 images is one of 128 windows there: unit 0 would mix both."""
    model = timm.create_model("swin_tiny_patch4_window7_224")
    refused = looked_at(model, 224).refused
    layer = "layers.0.blocks.0.attn"
    assert refused[layer].startswith("puts out 64 rows for one image")
    model = timm.create_model("swin_tiny_patch4_window7_224").eval()
    with pytest.raises(BadInput, match=r"attn' puts out 128 for 2 images"):
        activations(model, {layer: layer}, torch.zeros(2, 3, 224, 224))


class Growing(nn.Module):
    """Maps with channels first and last, tokens and what is pooled, for any size of input."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Conv2d(3, 8, 4, 4)
        self.last, self.turned, self.tokens, self.transposed = (nn.Identity() for _ in range(4))
        self.pooled = nn.AdaptiveAvgPool2d(2)
        self.fixed, self.cube, self.rows = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Put the same numbers out in several orders."""
        x = self.map(x)
        self.last(x.permute(0, 2, 3, 1))
        self.turned(x.transpose(2, 3))
        self.tokens(x.flatten(2).transpose(1, 2))
        self.transposed(x.flatten(2))
        self.rows(x.mean(3))
        self.fixed(x.new_zeros(len(x), 5, 6))
        self.cube(x.new_zeros(len(x), 4, 4, 4))
        return self.pooled(x)


def test_what_moves_with_height_is_a_row_and_with_width_a_column() -> None:
    # 8 channels of 8 x 8 places: no length tells anything.
    axes = {layer.name: layer.axes for layer in looked_at(Growing(), 32).layers}
    assert axes == {
        "map": MAP,
        "last": LAST,
        "turned": ("channel", "col", "row"),
        "tokens": TOKEN,
        "transposed": ("dim", "token"),
        "pooled": MAP,
        "rows": ("channel", "row"),
        "fixed": (),
        "cube": (),
    }


def test_the_first_tensor_of_an_output_is_the_response() -> None:
    x, y = torch.zeros(2, 3), torch.ones(2, 3)
    number = torch.tensor(1.0)
    for output in (x, (x, y), [x, (y,)], {"a": x, "b": y}, Out(None, x), ((x,), y)):
        assert first_tensor(output) is x
    for output in ((number, x), {"loss": number, "x": x}, OrderedDict(x=x), Out(number, x)):
        assert first_tensor(output) is x
    for nothing in (None, "text", (), number, torch.zeros(4)):
        assert first_tensor(nothing) is None


def test_a_tuple_is_run_as_it_was_looked_at() -> None:
    torch.manual_seed(0)
    model = SmallViT().eval()
    x = torch.rand(3, 3, SIDE, SIDE)
    found = activations(model, {"block.attention": "block.attention", "block": "block"}, x)
    with torch.no_grad():
        before: list[torch.Tensor] = []
        model.tokens.register_forward_hook(lambda _m, _i, out: before.append(out))
        model(x)
        attended, _weights = model.block.attention(before[0], before[0], before[0])
        hidden = model.block(before[0]).hidden
    torch.testing.assert_close(found["block.attention"], attended)
    torch.testing.assert_close(found["block"], hidden)


def test_an_input_that_no_module_takes_is_refused() -> None:
    with pytest.raises(BadInput, match="takes no input of 4 x 4 pixels"):
        looked_at(SmallViT(), 4)

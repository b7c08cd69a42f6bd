"""Models of timm: what is stored is what timm computes from its own transforms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from support.direct import assert_close
from support.libraries import outputs, write_sizes
from support.writing import state

from fexp_store import BadInput, NotFound, Warehouse
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.architectures import architecture
from fexp_store.networks.initialise import weights_sha256
from fexp_store.networks.records import Options
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.networks import registered

# A small member of each family, and its first, a middle and its last layer.
FAMILIES = {
    "resnet10t": ("conv1.0", "layer2.0", "fc"),
    "vit_tiny_patch16_224": ("patch_embed", "blocks.5", "head"),
    "convnext_atto": ("stem.0", "stages.2.blocks.1", "head.fc"),
    "mobilenetv3_small_050": ("conv_stem", "blocks.3", "classifier"),
    "regnetx_002": ("stem.conv", "s3.b2", "head.fc"),
    "deit_tiny_patch16_224": ("patch_embed.proj", "blocks.6.mlp", "head"),
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph of each of the sizes."""
    return write_sizes(tmp_path_factory.mktemp("sizes"))


def random_model(name: str) -> torch.nn.Module:
    """A model whose norms are not what they are without training."""
    torch.manual_seed(1)
    model = timm.create_model(name, pretrained=False)
    for key, value in model.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point() and value.ndim == 1:
            value.add_(torch.randn(value.shape), alpha=0.1)
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_of_timm_is_stored_as_timm_computes_it(
    name: str, empty: Warehouse, manifest: Path, tmp_path: Path
) -> None:
    add_manifest(empty, "sizes", manifest)
    model, layers = random_model(name), FAMILIES[name]
    weights = tmp_path / "weights"  # whose format is told by its content
    if "vit" in name:
        torch.save({"state_dict": model.state_dict()}, weights)
    else:
        safetensors.torch.save_model(model, str(weights))
    registry.add(empty, "net", Options(architecture=f"timm:{name}", weights=weights))
    ingest(empty, "net", layers, "sizes")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    direct = outputs(model, layers, transform, manifest)
    for layer in layers:
        assert_close(empty.matrix("net", layer, "sizes").values, direct[layer], layer)

"""Models of timm: what is stored is what timm computes from its own transforms."""

from __future__ import annotations

import re
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

# A small member of each family, and its first, a middle and its last layer.
FAMILIES = {
    "resnet10t": ("conv1.0", "layer2.0", "fc"),
    "vit_tiny_patch16_224": ("patch_embed.proj", "blocks.5", "head"),
    "convnext_atto": ("stem.0", "stages.2.blocks.1", "head.fc"),
    "mobilenetv3_small_050": ("conv_stem", "blocks.3", "classifier"),
    "regnetx_002": ("stem.conv", "s3.b2", "head.fc"),
}


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, Path]:
    """A warehouse with a set of a photograph of each size, and their manifest."""
    folder = tmp_path_factory.mktemp("sized")
    wh = Warehouse.create(folder / "warehouse")
    add_manifest(wh, "sizes", write_sizes(folder / "sizes"))
    return wh, folder / "sizes" / "manifest.csv"


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
    name: str, sized: tuple[Warehouse, Path], tmp_path: Path
) -> None:
    wh, manifest = sized
    model, layers = random_model(name), FAMILIES[name]
    weights = tmp_path / "weights"  # whose format is told by its content
    if "vit" in name:
        torch.save({"state_dict": model.state_dict()}, weights)
    else:
        safetensors.torch.save_model(model, str(weights))
    registry.add(wh, name, Options(architecture=f"timm:{name}", weights=weights))
    ingest(wh, name, layers, "sizes")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    direct = outputs(model, layers, transform, manifest)
    for layer in layers:
        assert_close(wh.matrix(name, layer, "sizes").values, direct[layer], layer)


def test_names_that_timm_renames_are_read_by_timm(tmp_path: Path) -> None:
    """Its ConvNeXt reads the files of the paper's authors, which name everything otherwise."""
    model = random_model("convnext_atto")
    theirs = {}
    for key, value in model.state_dict().items():
        key = key.replace("head.norm.", "norm.").replace("head.fc.", "head.")
        key = re.sub(r"stages\.(\d)\.blocks\.(\d)\.conv_dw", r"stages.\1.\2.dwconv", key)
        key = re.sub(r"stages\.(\d)\.blocks\.(\d)\.mlp\.fc(\d)", r"stages.\1.\2.pwconv\3", key)
        key = re.sub(r"stages\.(\d)\.blocks\.(\d)", r"stages.\1.\2", key)
        key = re.sub(r"stages\.(\d)\.downsample", r"downsample_layers.\1", key)
        theirs[key.replace("stem.", "downsample_layers.0.")] = value
    assert len(theirs.keys() - model.state_dict().keys()) > 100
    torch.save(theirs, tmp_path / "theirs.pth")
    arch = architecture("timm:convnext_atto")
    ours = arch.build()
    arch.read_weights(tmp_path / "theirs.pth", ours, channels="RGB", size=224)
    assert weights_sha256(ours.state_dict()) == weights_sha256(model.state_dict())


def test_a_file_of_another_model_is_refused_in_one_sentence(
    empty: Warehouse, tmp_path: Path
) -> None:
    before = state(empty)
    torch.save(random_model("resnet10t").state_dict(), tmp_path / "other.pth")
    wanted = Options(architecture="timm:regnetx_002", weights=tmp_path / "other.pth")
    with pytest.raises(BadInput, match=r"other.pth lacks stem.conv.weight, so it is not regnetx"):
        registry.add(empty, "net", wanted)
    assert state(empty) == before


def test_names_that_are_not_there_are_answered_with_some_that_are() -> None:
    with pytest.raises(NotFound, match=r"no model 'resnet_18'; near it: .*resnet18"):
        architecture("timm:resnet_18")
    with pytest.raises(NotFound, match=r"no resnet18 of the tag 'x'; it has: .*a1_in1k"):
        architecture("timm:resnet18.x")


def test_a_tag_decides_preprocessing_and_head() -> None:
    large = architecture("timm:vit_tiny_patch16_224.augreg_in21k")
    assert large.build().get_submodule("head").weight.shape[0] == 21843
    assert large.published is not None
    assert large.published.source == "timm:vit_tiny_patch16_224.augreg_in21k"
    small = architecture("timm:vit_tiny_patch16_384")
    assert small.preprocessing is not None
    assert (small.preprocessing.size, small.preprocessing.resize) == (384, 384)
    assert small.preprocessing.mean == (127.5,) * 3


def test_weights_that_cannot_be_fetched_are_refused_in_one_sentence(
    empty: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    before = state(empty)
    with pytest.raises(BadInput, match=r"^The weights timm:resnet18\.a1_in1k could not be fetched"):
        registry.add(empty, "net", Options(architecture="timm:resnet18"))
    assert state(empty) == before


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("timm", "huggingface_hub"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from fexp_store import NotFound
from fexp_store.networks.architectures import architecture
architecture("torchvision:resnet18")
try:
    architecture("timm:resnet18")
except NotFound as error:
    print(error)
"""


@pytest.mark.slow
def test_without_timm_all_else_is_there_and_the_refusal_names_the_extra() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("run: pip install 'fexp-store[timm]'")

"""Any classification model of torchvision as an architecture, with layers by their module path."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision
from torch import nn

from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.architecture import Architecture, Input, PublishedWeights
from fexp_store.networks.meta import built_on_meta
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.weights.fitting import FromFile, fit
from fexp_store.warehouse.hashing import file_sha256

_TRANSFORMED = ("googlenet", "inception_v3")
"""Models that transform their input once more where they have weights."""


@cache
def architecture(model: str) -> Architecture:
    """Return a torchvision classification model as an architecture.

    Its layers are all modules by their path (``layer1.0``, ``features.12``, …); those that put
    out no tensor, or are used more than once in a forward pass, are left out when a network is
    registered.

    Raises
    ------
    NotFound
        If torchvision has no classification model of that name.
    """
    if model not in torchvision.models.list_models(module=torchvision.models):
        raise NotFound(
            f"torchvision has no classification model {model!r}; list them with: python -c "
            "'import torchvision; print(torchvision.models.list_models(torchvision.models))'"
        )
    weights = torchvision.models.get_model_weights(model)
    drawn = {"init_weights": False} if model in _TRANSFORMED else {}
    build = partial(torchvision.models.get_model, model, weights=None, **drawn)
    skeleton = built_on_meta(build)
    preprocessing = preprocessing_of(model, weights.DEFAULT)
    return Architecture(
        name=f"torchvision:{model}",
        build=build,
        layers={path: path for path, _ in skeleton.named_modules() if path},
        preprocessing=preprocessing,
        training="object",
        read_weights=partial(_set_weights, model),
        published=published_weights(model, weights.DEFAULT.name),
        inputs={
            "module": Input(preprocessing, f"torchvision's transforms of {weights.DEFAULT}"),
        }
        | {
            str(one): Input(preprocessing_of(model, one), f"torchvision's transforms of {one}")
            for one in weights
        },
        trainings={str(one): "object" for one in weights},
    )


def _set_weights(
    model: str, path: Path, module: nn.Module, *, channels: str, size: int
) -> FromFile:
    """Set weights; the origin is the published ones that the file is, by the hash in their URL."""
    found = fit(path, module, network=model, size=size)
    sha256 = file_sha256(path)
    for one in torchvision.models.get_model_weights(model):
        if sha256.startswith(Path(one.url).stem.rpartition("-")[2]):
            return found._replace(origin=str(one))
    return found


def published_weights(model: str, name: str) -> PublishedWeights:
    """Return weights that torchvision downloads and checks, for example ``IMAGENET1K_V1``."""
    return PublishedWeights(f"torchvision:{name}", partial(_download, model, name), None)


def _download(model: str, name: str) -> Path:
    weights = torchvision.models.get_model_weights(model)[name]
    try:
        weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (URLError, OSError) as error:
        raise BadInput(
            f"torchvision could not download {weights.url} ({error}); fetch it elsewhere and give "
            "the file with --weights."
        ) from None
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name


def preprocessing_of(model: str, weights: torchvision.models.WeightsEnum) -> Preprocessing:
    """Declare torchvision's own transforms of some weights.

    With weights of its own, torchvision has googlenet and inception_v3 transform their input once
    more (``transform_input``), to a mean and standard deviation of 0.5. Here that is declared as
    the preprocessing that it comes to, and their modules do not do it.
    """
    declared = Preprocessing.of_torchvision(weights.transforms())
    if model in _TRANSFORMED:
        return declared.changed({"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)})
    return declared

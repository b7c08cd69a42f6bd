"""Any classification model of torchvision as an architecture, with layers by their module path."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision

from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.architecture import Architecture, PublishedWeights
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.weights.state_dict import read_own


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
    weights = torchvision.models.get_model_weights(model).DEFAULT
    build = partial(torchvision.models.get_model, model, weights=None)
    with torch.device("meta"):
        skeleton = build()
    return Architecture(
        name=f"torchvision:{model}",
        build=build,
        layers={path: path for path, _ in skeleton.named_modules() if path},
        preprocessing=Preprocessing.of_torchvision(weights.transforms()),
        training="object",
        read_weights=partial(read_own, network=model, build=build),
        published=published_weights(model, weights.name),
    )


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

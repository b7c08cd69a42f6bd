"""Any model of timm as an architecture, with layers by their module path; timm is optional."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from fexp_store.causes import first_line
from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.architecture import Architecture, Input, PublishedWeights
from fexp_store.networks.meta import built_on_meta
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.weights.fitting import FromFile, fit
from fexp_store.networks.weights.formats import format_of
from fexp_store.networks.weights.tensors import choose, load_tensors
from fexp_store.warehouse.networks import UNKNOWN

_FILES = ("model.safetensors", "pytorch_model.bin")


def architecture(model: str) -> Architecture:
    """Return a model of timm, ``NAME`` or ``NAME.TAG``, as an architecture.

    Its layers are all modules by their path (``blocks.0``, ``stages.2.blocks.1``, …), and its
    preprocessing is timm's own data config of the pretrained weights that the tag names.

    Raises
    ------
    NotFound
        If timm is not installed, or has no model or no tag of that name.
    """
    timm = _timm()
    _check_known(timm, model)
    build = partial(timm.create_model, model, pretrained=False)
    skeleton = built_on_meta(build)
    config: dict[str, Any] = skeleton.pretrained_cfg  # type: ignore[assignment]  # timm sets it
    taken = Preprocessing.of_timm(timm.data.resolve_model_data_config(skeleton))
    return Architecture(
        name=f"timm:{model}",
        build=build,
        layers={path: path for path, _ in skeleton.named_modules() if path},
        preprocessing=taken,
        training=_training(config.get("tag") or ""),
        read_weights=partial(_set_weights, model),
        channels_last=False,
        inputs={"module": Input(taken, f"timm's data config of {model}")},
        published=_published(model, config),
    )


def _training(tag: str) -> str:
    """Return what weights were trained on, as timm's tag says."""
    return "object" if "in1k" in tag or "in21k" in tag else tag or UNKNOWN


def _timm() -> ModuleType:
    try:
        import timm
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise NotFound(
            "timm is not installed, which models timm:NAME are from; run: "
            "pip install 'fexp-store[timm]'"
        ) from None
    return timm


def _check_known(timm: ModuleType, model: str) -> None:
    name, _, tag = model.partition(".")
    if not timm.is_model(name):
        models = timm.list_models()
        near = [x for x in models if name in x][:5] or difflib.get_close_matches(name, models, 5)
        like = (
            f"near it: {', '.join(near)}"
            if near
            else "list them with: python -c " + ("'import timm; print(timm.list_models())'")
        )
        raise NotFound(f"timm has no model {name!r}; {like}.")
    tags = [
        x.partition(".")[2] for x in timm.list_pretrained(f"{name}*") if x.partition(".")[0] == name
    ]
    if tag and tag not in tags:
        raise NotFound(f"timm has no {name} of the tag {tag!r}; it has: {', '.join(tags)}.")


def _published(model: str, config: dict[str, Any]) -> PublishedWeights | None:
    """Return the weights that timm's authors have on the Hugging Face hub, if they are there."""
    if not config.get("hf_hub_id"):
        return None
    name, tag = config["architecture"], config["tag"]
    source = f"timm:{name}.{tag}" if tag else f"timm:{name}"
    return PublishedWeights(source, partial(_download, config["hf_hub_id"], source), None)


def _download(repository: str, source: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        for file in _FILES:
            try:
                return Path(hf_hub_download(repository, file))
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                continue
    except Exception as error:  # of the hub's, of HTTP's, of the system's
        raise BadInput(
            f"The weights {source} could not be fetched from {repository} on the Hugging Face hub "
            f"({first_line(error)}); fetch them elsewhere and give the file with --weights."
        ) from None
    raise BadInput(
        f"{repository} on the Hugging Face hub has none of {', '.join(_FILES)}; "
        "give a file with --weights."
    )


def _set_weights(
    model: str, path: Path, module: nn.Module, *, channels: str, size: int
) -> FromFile:
    """Set weights under the model's names, or under those that timm itself renames."""
    try:
        return fit(path, module, network=model, size=size)
    except BadInput:
        renamed = _renamed_by_timm(model, path)
        if renamed is None:
            raise
        module.load_state_dict(renamed)
        return FromFile("module")


def _renamed_by_timm(model: str, path: Path) -> Mapping[str, torch.Tensor] | None:
    """Return a state dict as timm loads it; None if it is not the file's values alone."""
    try:
        found = choose(load_tensors(path, format_of(path)), ()).state
        overlay = {"state_dict": found}
        loaded = _timm().create_model(model, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception:  # whatever timm meets in a file that is of no such model
        return None
    state: Mapping[str, torch.Tensor] = loaded.state_dict()
    return state if _sizes(state) == _sizes(found) else None


def _sizes(state: Mapping[str, torch.Tensor]) -> list[int]:
    return sorted(value.numel() for value in state.values() if value.is_floating_point())

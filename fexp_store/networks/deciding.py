"""What belongs to a weights file: its input and its training, decided from the file, or asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.architecture import Architecture, Input
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.records import Options
from fexp_store.networks.weights.fitting import FromFile
from fexp_store.warehouse.networks import UNKNOWN

_TOLD = {"channels", "mean", "std"}
"""What must be said of the input of a file that does not tell; `LIKE` says all of it."""

LIKE: dict[str, dict[str, Any]] = {
    "torchvision": {
        "channels": "RGB",
        "mean": (0.485 * 255, 0.456 * 255, 0.406 * 255),
        "std": (0.229 * 255, 0.224 * 255, 0.225 * 255),
    },
    "caffe": {"channels": "BGR", "mean": (103.939, 116.779, 123.68), "std": (1.0, 1.0, 1.0)},
    "matconvnet": {"channels": "RGB", "mean": (123.68, 116.779, 103.939), "std": (1.0, 1.0, 1.0)},
    "vgg_face": {"channels": "RGB", "mean": (129.1863, 104.7624, 93.594), "std": (1.0, 1.0, 1.0)},
    "keras": {"channels": "RGB", "mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)},
}
"""Inputs that families of networks share; channels are in the order in which they are fed."""


@dataclass(frozen=True)
class Built:
    """A module with its weights.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    source : str
        Where the weights are from, as it is stored.
    found : FromFile, optional
        What was read of the user's file; None for weights that are published or drawn.
    """

    module: nn.Module
    source: str
    found: FromFile | None = None


class Training(NamedTuple):
    """What weights were trained on, and by what that is known."""

    value: str
    said: str


def channels_given(given: Mapping[str, Any] | None) -> str:
    """Return the order of channels that the user says the network is fed; RGB if nothing."""
    return str(fields_given(given).get("channels", "RGB"))


def fields_given(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields that the user gives, those of a family by its name among them."""
    fields = dict(given or {})
    family = fields.pop("like", None)
    if family is None:
        return fields
    if family not in LIKE:
        raise BadInput(f"No family of networks is called {family!r}; known: {', '.join(LIKE)}.")
    return LIKE[family] | fields


def input_of(arch: Architecture, built: Built, options: Options) -> Input:
    """Decide what a network takes as input.

    Raises
    ------
    BadInput
        If neither the file nor the user tells; the message says what the candidates are.
    """
    given = fields_given(options.preprocessing)
    known = _known(arch, built)
    if known is None and not given.keys() >= _TOLD:
        raise BadInput(
            f"{options.weights} does not tell what images its network takes; say it with "
            f"--preprocessing: {', '.join(LIKE)}, or JSON with {', '.join(sorted(_TOLD))} "
            "(docs/networks.md describes them)."
        )
    start = Input(arch.preprocessing, "the architecture") if known is None else known
    said = [f"{start.said}"] + [f"given: {', '.join(sorted(given))}"] * bool(given)
    changed: Preprocessing = start.preprocessing.changed(given)
    return Input(changed, "; ".join(said))


def _known(arch: Architecture, built: Built) -> Input | None:
    found = built.found
    if found is None:
        drawn = built.source.startswith("untrained:")
        return Input(arch.preprocessing, "that of trained ones" if drawn else "published with it")
    if found.origin in arch.inputs:
        return arch.inputs[found.origin]
    if found.mean is not None and max(found.mean) > 0:
        means = {"mean": found.mean, "std": (1.0, 1.0, 1.0), "channels": "RGB"}
        return Input(arch.preprocessing.changed(means), "the mean that the file holds")
    return None


def training_of(arch: Architecture, built: Built, options: Options) -> Training:
    """Return what is known of the training: what the user says, or what the weights show."""
    if built.source.startswith("untrained:"):
        return Training("none", "drawn")
    if options.training is not None:
        return Training(options.training, "given")
    if built.found is None:
        return Training(arch.training, "published with it")
    if built.found.origin in arch.trainings:
        return Training(arch.trainings[built.found.origin], f"the file is {built.found.origin}")
    return Training(UNKNOWN, "nobody said")


def origins_json(taken: Input, training: Training, found: FromFile | None) -> str:
    """Write by what the values of a record are known, and what was left out, as it is stored."""
    said: dict[str, Any] = {"preprocessing": taken.said, "training": training.said}
    if found is not None and (found.absent or found.left_out):
        said |= {"absent": list(found.absent), "left_out": list(found.left_out)}
    return json.dumps(said)

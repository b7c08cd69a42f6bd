"""What belongs to a weights file: its input and its training, decided from the file, or asked."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from fexp_store.errors import BadInput
from fexp_store.networks.architecture import Architecture, Input
from fexp_store.networks.building import Built
from fexp_store.networks.families import LIKE, fields_given
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.records import Options
from fexp_store.networks.weights.fitting import FromFile
from fexp_store.warehouse.networks import UNKNOWN

_TOLD = {"channels", "mean", "std"}
"""What must be said of the input of a file that does not tell; `LIKE` says all of it."""


class Training(NamedTuple):
    """What weights were trained on, and by what that is known."""

    value: str
    said: str


def input_of(arch: Architecture, built: Built, options: Options) -> Input:
    """Decide what a network takes as input.

    Raises
    ------
    BadInput
        If neither the file nor the user tells; the message says what the candidates are.
    """
    given = fields_given(options.preprocessing)
    if arch.preprocessing is None:
        return Input(arch.start(given), f"given: {', '.join(sorted(given))}")
    known = _known(arch, arch.preprocessing, built)
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


def _known(arch: Architecture, own: Preprocessing, built: Built) -> Input | None:
    found = built.found
    if found is None:
        drawn = built.source.startswith("untrained:")
        said = "that of trained ones" if drawn else arch.code or "published with it"
        return Input(own, said)
    if found.origin in arch.inputs:
        return arch.inputs[found.origin]
    if found.mean is not None and max(found.mean) > 0:
        means = {"mean": found.mean, "std": (1.0, 1.0, 1.0), "channels": "RGB"}
        return Input(own.changed(means), "the mean that the file holds")
    return None


def training_of(arch: Architecture, built: Built, options: Options) -> Training:
    """Return what is known of the training: what the user says, or what the weights show."""
    if built.source.startswith(("untrained:", "permuted:")):
        return Training("none", built.source.partition(":")[0])
    if options.training is not None:
        return Training(options.training, "given")
    if built.found is None:
        said = "published with it" if arch.code is None else arch.code
        return Training(arch.training, said)
    if built.found.origin in arch.trainings:
        return Training(arch.trainings[built.found.origin], f"the file is {built.found.origin}")
    return Training(UNKNOWN, "nobody said")


def origins_json(taken: Input, training: Training, found: FromFile | None) -> str:
    """Write by what the values of a record are known, and what was left out, as it is stored."""
    said: dict[str, Any] = {"preprocessing": taken.said, "training": training.said}
    if found is not None and (found.absent or found.left_out):
        said |= {"absent": list(found.absent), "left_out": list(found.left_out)}
    return json.dumps(said)

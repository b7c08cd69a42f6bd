"""Options that several analyses share: what values they may have."""

from __future__ import annotations

from typing import Any

from fexp_store.analyses.classifier import Classifier
from fexp_store.errors import BadInput

LEAST = {"folds": 2, "seed": 0, "shuffles": 0, "resamples": 1, "permutations": 0}
CHOICES = {
    "factor": ("expression", "identity"),
    "correction": ("none", "fdr_bh", "bonferroni"),
}
_CLASSIFIER = ("components", "kernel", "c")


def check_options(**options: Any) -> None:
    """Check options of an analysis before it does anything.

    Raises
    ------
    BadInput
        If one is out of range.
    """
    for name in LEAST.keys() & options.keys():
        if options[name] < LEAST[name]:
            raise BadInput(f"{name} must be {LEAST[name]} or more, not {options[name]}.")
    for name in CHOICES.keys() & options.keys():
        if options[name] not in CHOICES[name]:
            known = ", ".join(CHOICES[name])
            raise BadInput(f"The {name} {options[name]!r} is none of {known}.")
    if not 0 < options.get("alpha", 0.5) < 1:
        raise BadInput(f"alpha is {options['alpha']}; it must lie between 0 and 1.")
    chosen = {name: options[name] for name in _CLASSIFIER if name in options}
    Classifier(**chosen)

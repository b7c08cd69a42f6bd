"""Options that several analyses share: what values they may have."""

from __future__ import annotations

from typing import Any

from fexp_store.analyses.anova import FACTORS
from fexp_store.errors import BadInput

_LEAST = {"folds": 2, "seed": 0, "shuffles": 0, "resamples": 1, "permutations": 0}
_ALLOWED = {"factor": FACTORS, "correction": ("none", "fdr_bh", "bonferroni")}


def check_options(**options: Any) -> None:
    """Check options of an analysis before it does anything.

    Raises
    ------
    BadInput
        If one is out of range.
    """
    for name in _LEAST.keys() & options.keys():
        if options[name] < _LEAST[name]:
            raise BadInput(f"{name} must be {_LEAST[name]} or more, not {options[name]}.")
    for name in _ALLOWED.keys() & options.keys():
        if options[name] not in _ALLOWED[name]:
            known = ", ".join(_ALLOWED[name])
            raise BadInput(f"The {name} {options[name]!r} is none of {known}.")
    if not 0 < options.get("alpha", 0.5) < 1:
        raise BadInput(f"alpha is {options['alpha']}; it must lie between 0 and 1.")

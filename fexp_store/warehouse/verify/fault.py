"""What can be wrong, where, and what helps."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from fexp_store.warehouse.checked import REMEDY

RESTORE = "Restore it from a copy."
"""What helps where nothing else can say what was stored."""

REPAIR = REMEDY
"""What helps where something else says what was stored, or it can be made again."""


class Kind(StrEnum):
    """What a fault is of."""

    activations = "activations"
    part = "table"
    rows = "rows"
    log = "log"
    checkpoint = "checkpoint"
    image = "image"
    marker = "marker"
    catalog = "catalog"
    record = "record"
    network = "network"


class Fault(NamedTuple):
    """One thing that is not as it was stored, or of which nobody can say.

    Parameters
    ----------
    what : Kind
    where : str
        Path in the warehouse.
    fault, remedy : str
        Sentences.
    """

    what: Kind
    where: str
    fault: str
    remedy: str = REPAIR

"""fexp-store: unit activations of convolutional networks, stored once and queried in SQL."""

from __future__ import annotations

from fexp_store.errors import BadInput, Conflict, Damaged, FexpError, NotFound
from fexp_store.version import __version__
from fexp_store.warehouse import Warehouse

__all__ = [
    "BadInput",
    "Conflict",
    "Damaged",
    "FexpError",
    "NotFound",
    "Warehouse",
    "__version__",
]

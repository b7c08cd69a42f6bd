"""Why a layer of a network cannot be had, though a module of this name is there."""

from __future__ import annotations

from fexp_store.errors import FexpError
from fexp_store.networks.registry import architecture_of, meta_module
from fexp_store.networks.survey import survey
from fexp_store.warehouse.networks import Registered, matching


def why_no_layer(row: Registered, asked: str) -> str | None:
    """Say why a layer, or the first that a pattern matches, is not among those of a network.

    The network is looked at anew, on torch's ``meta`` device.

    Returns
    -------
    str or None
        A sentence; None if no module is called so, or the network cannot be built here.
    """
    try:
        module, preprocessing = meta_module(row)
        there = {path for path, _ in module.named_modules()}
        layers = architecture_of(row).layers
    except (FexpError, OSError):
        return None
    paths = {layer: path for layer, path in layers.items() if path in there}
    name = asked if asked in paths else next(iter(matching(list(paths), asked)), None)
    if name is None:
        return None
    channels, size, _ = preprocessing.shape
    refused = survey(module, paths, size, channels).refused
    if name not in refused:
        return None
    return f"The layer {name!r} of {row.network} {refused[name]}."

"""What a warehouse knows about its networks; reading it needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from fexp_store.errors import NotFound
from fexp_store.options import Seed, record
from fexp_store.rights import Rights
from fexp_store.warehouse import Warehouse, tables


@record
class Options(Rights):
    """How a network comes to be: its architecture, and weights that are published, given or drawn.

    The study does not say how its untrained network was initialised; ``kaiming_normal`` keeps the
    variance of activations from layer to layer under ReLU, and is our choice.
    """

    architecture: Annotated[
        str | None, Meta(description="Architecture; by default that of the same name.")
    ] = None
    weights: Annotated[
        Path | None, Meta(description="Weights file; by default the one a package ships.")
    ] = None
    untrained: Annotated[bool, Meta(description="Draw the weights.")] = False
    seed: Annotated[Seed, Meta(description="Seed of untrained weights.")] = 0
    init: Annotated[
        str,
        Meta(
            description="How untrained weights are drawn: kaiming_normal, xavier_normal, "
            "lecun_normal or gaussian:SD."
        ),
    ] = "kaiming_normal"
    preprocessing: Annotated[
        dict[str, Any] | None,
        Meta(description="Change fields of the preprocessing, as JSON: '{\"size\": 160}'."),
    ] = None
    group: Annotated[
        str | None,
        Meta(description="Name shared by replicates; by default the network's own."),
    ] = None


@dataclass(frozen=True)
class Layer:
    """A layer of a registered network: its name and the shape of its activations for one image."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def units(self) -> int:
        """Number of units."""
        return prod(self.shape)


@dataclass(frozen=True)
class Registered:
    """What is stored about a network: one row of the table ``networks``."""

    network: str
    network_group: str
    architecture: str
    training: str
    weights_source: str
    weights_sha256: str
    seed: int | None
    preprocessing: str
    layers: str
    licence: str | None = None
    citation: str | None = None

    def layer(self, name: str) -> Layer:
        """Return one layer; NotFound lists the layers there are."""
        layers = self.all_layers()
        if name not in layers:
            known = ", ".join(layers)
            raise NotFound(f"{self.network} has no layer {name!r}; its layers: {known}.")
        return layers[name]

    def all_layers(self) -> dict[str, Layer]:
        """Return every layer by name, in forward order."""
        listed = json.loads(self.layers)
        return {x["name"]: Layer(x["name"], tuple(x["shape"]), x["dtype"]) for x in listed}


def has_network(wh: Warehouse, name: str) -> bool:
    """Whether a network of this name is registered."""
    return not tables.read(wh.storage, "networks").filter(network=name).is_empty()


def registered(wh: Warehouse, name: str) -> Registered:
    """Return what is stored about a network.

    Raises
    ------
    NotFound
        If it is not registered; the message lists the networks that are.
    """
    rows = tables.read(wh.storage, "networks")
    found = rows.filter(network=name)
    if found.is_empty():
        known = ", ".join(sorted(rows["network"])) or "none yet"
        raise NotFound(f"There is no network {name!r}; registered: {known}.")
    row = found.drop("created").row(0, named=True)
    return Registered(**row)

"""What a warehouse knows about its networks; reading it needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod

from fexp_store.errors import NotFound
from fexp_store.warehouse import Warehouse, tables


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
    row = found.drop("created", "licence", "citation").row(0, named=True)
    return Registered(**row)

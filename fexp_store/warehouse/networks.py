"""What a warehouse knows about its networks: the rows of the table ``networks``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import msgspec
import polars as pl
from msgspec import Meta

from fexp_store.errors import Conflict, Damaged, NotFound
from fexp_store.warehouse import tables
from fexp_store.warehouse.storage import Storage

if TYPE_CHECKING:
    from fexp_store.warehouse.warehouse import Warehouse

IMPORTED = "imported"
"""Architecture of a network that was run elsewhere.

It has a row for each of its layers, appended by the first import of the layer, which counts once
activations of the layer are stored. In everything but `layers` and `created` its rows are equal.
"""

UNKNOWN = "unknown"
"""Training of a network of which nobody said it."""

ALL = "all"
"""Stands for every layer of a network, where several may be asked for."""

_ALL_NAMED, _NAMED = 60, 8  # a message names all layers up to so many, else the first so many
_SCHEMA_OVERRIDES = {
    "seed": pl.Int64,
    "licence": pl.String,
    "citation": pl.String,
    "origins": pl.String,
}


Axis = Literal["channel", "row", "col", "token", "dim"]
AXES: tuple[Axis, ...] = get_args(Axis)
"""What an axis of a layer can be; the columns of the view ``units``."""

_Count = Annotated[int, Meta(ge=0, lt=1 << 31)]


@dataclass(frozen=True)
class Layer:
    """A layer of a registered network: the shape of its activations for one image.

    Parameters
    ----------
    name : str
    shape : tuple of int
    dtype : str
    axes : tuple of str, optional
        What each axis of the shape is, no word twice; empty where nothing tells. None where
        nothing was said, as in older warehouses and of networks that were imported: three axes are
        then channel, row and col, and one is the channel.
    class_tokens, register_tokens : int or None
        How many tokens, from the first, are class tokens (with those of distillation), and how
        many after them are registers; None without tokens, or where nothing tells.
    """

    name: str
    shape: tuple[Annotated[int, Meta(ge=1, lt=1 << 31)], ...]
    dtype: str = "float32"
    axes: tuple[Axis, ...] | None = None
    class_tokens: _Count | None = None
    register_tokens: _Count | None = None

    @property
    def units(self) -> int:
        """Number of units."""
        return prod(self.shape)


@dataclass(frozen=True)
class Registered:
    """What is stored about a network."""

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
    origins: str | None = None

    def layer(self, name: str) -> Layer:
        """Return one layer by its name; NotFound says what layers there are."""
        layers = self.all_layers()
        if name not in layers:
            raise NotFound(f"{self.network} has no layer {name!r}; {self.said_of_layers}.")
        return layers[name]

    @property
    def said_of_layers(self) -> str:
        """The layers there are, for people: all of a few, or some and how to list them."""
        return said_of_layers(self.network, list(self.all_layers()))

    def all_layers(self) -> dict[str, Layer]:
        """Return every layer by name, in forward order; Damaged if what is stored lists none."""
        try:
            listed = msgspec.json.decode(self.layers, type=list[Layer])
        except (msgspec.DecodeError, RecursionError) as error:
            raise Damaged(
                f"What is stored of the layers of {self.network} cannot be read ({error}); "
                "restore the table networks from a copy."
            ) from None
        return {layer.name: layer for layer in listed}


def said_of_layers(network: str, names: Sequence[str]) -> str:
    """Say what layers a network has: all of a few, or the first and how to list them."""
    if len(names) <= _ALL_NAMED:
        return f"its layers: {', '.join(names)}"
    return (
        f"its {len(names)} layers: {', '.join(names[:_NAMED])}, …; list them with: "
        f"fexp networks layers {network}"
    )


def choose_layers(names: Sequence[str], asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """Find the layers that are asked for by name or pattern.

    Parameters
    ----------
    names : sequence of str
        Every layer, in forward order.
    asked : sequence of str
        Names, which mean themselves; ``all``; or patterns of ``*``, ``?`` and ``[…]``, which match
        as those of a shell do, letters by case and a ``.`` like any other character.

    Returns
    -------
    chosen : list of str
        Each once: in the order that was asked for, or in forward order if there is a pattern.
    unmatched : list of str
        What nothing matches.
    """
    known = set(names)
    chosen: list[str] = []
    unmatched = []
    for one in asked:
        found = [one] if one in known else matching(names, one)
        chosen += found
        unmatched += [] if found else [one]
    if known.issuperset(asked):
        return list(dict.fromkeys(chosen)), unmatched
    wanted = set(chosen)
    return [name for name in names if name in wanted], unmatched


def is_pattern(asked: str) -> bool:
    """Whether what is asked for may mean several layers, unless one has just this name."""
    return asked == ALL or any(sign in asked for sign in "*?[")


def matching(names: Sequence[str], pattern: str) -> list[str]:
    """Return the names that a pattern matches; none if it is no pattern."""
    if pattern == ALL:
        return list(names)
    return [name for name in names if fnmatchcase(name, pattern)] if is_pattern(pattern) else []


def has_network(wh: Warehouse, name: str) -> bool:
    """Whether a network of this name is registered."""
    return not wh.frame("FROM networks WHERE network = $name", name=name).is_empty()


def registered(wh: Warehouse, name: str) -> Registered:
    """Return what is stored about a network.

    Raises
    ------
    NotFound
        If it is not registered; the message lists the networks that are.
    """
    rows = wh.frame("SELECT * EXCLUDE (created) FROM networks ORDER BY network")
    found = rows.filter(network=name)
    if found.is_empty():
        known = ", ".join(rows["network"]) or "none yet"
        raise NotFound(f"There is no network {name!r}; registered: {known}.")
    return Registered(**found.row(0, named=True))


def register(storage: Storage, row: Registered) -> bool:
    """Register a network, or one more layer of one that is imported.

    Returns
    -------
    bool
        False if this very network, or layer, was registered under this name before.

    Raises
    ------
    Conflict
        If the name is taken by a network with other content.
    """
    frame = pl.DataFrame([asdict(row)], schema_overrides=_SCHEMA_OVERRIDES)
    frame = frame.with_columns(pl.lit(datetime.now(UTC)).alias("created"))
    return tables.append(
        storage,
        "networks",
        frame,
        key=f"networks/{row.network}",
        unless=lambda: is_among(row, rows(storage, row.network)),
    )


def is_among(row: Registered, earlier: Sequence[Registered]) -> bool:
    """Whether rows of one name have this network, or layer; a Conflict if they have another."""
    for one in earlier:
        _check_same(row, one)
    layers = {name for one in earlier for name in one.all_layers()}
    return bool(earlier) and row.all_layers().keys() <= layers


def rows(storage: Storage, name: str) -> list[Registered]:
    """Return the rows of a network as they are stored: those that do not count are among them."""
    stored = tables.read(storage, "networks").filter(network=name).sort("created").drop("created")
    return [Registered(**fields) for fields in stored.iter_rows(named=True)]


def layers_json(layers: Iterable[Layer]) -> str:
    """Write layers as they are stored."""
    stated = ({k: v for k, v in asdict(layer).items() if v is not None} for layer in layers)
    return json.dumps(list(stated))


def _alike(layer: Layer, other: Layer) -> bool:
    return (layer.shape, layer.dtype) == (other.shape, other.dtype)


def _check_same(row: Registered, earlier: Registered) -> None:
    # The same weights in another file are the same network; nothing said is no claim.
    open_fields = {
        "licence": row.licence or earlier.licence,
        "citation": row.citation or earlier.citation,
        "origins": earlier.origins,
    }
    if row.training == UNKNOWN:
        open_fields["training"] = earlier.training
    if row.architecture == earlier.architecture == IMPORTED:
        known = earlier.all_layers()
        if all(known.get(name, layer) == layer for name, layer in row.all_layers().items()):
            open_fields["layers"] = earlier.layers
    else:
        open_fields["weights_source"] = earlier.weights_source
        # An earlier version may have named no axes, or have left out other layers.
        known, new = earlier.all_layers(), row.all_layers()
        if all(_alike(new[name], known[name]) for name in new.keys() & known.keys()):
            open_fields["layers"] = earlier.layers
    same, other = asdict(row) | open_fields, asdict(earlier)
    if differing := [name for name in same if same[name] != other[name]]:
        raise Conflict(
            f"A network {row.network} with other content is registered already (of another "
            f"{', '.join(differing)}); networks never change, so choose another name."
        )

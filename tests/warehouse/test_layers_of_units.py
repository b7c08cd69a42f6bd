"""Layers as they are stored: the view units numbers each kind, and patterns choose some."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import polars as pl
import pytest

from fexp_store import Conflict, Warehouse, schemas
from fexp_store.warehouse.networks import (
    Layer,
    Registered,
    choose_layers,
    layers_json,
    register,
    registered,
)

NAMES = ["stem", "blocks.0", "blocks.0.act", "blocks.1", "head"]


def row_of(layers: str, network: str = "net") -> Registered:
    return Registered(network, network, "a", "object", "file:w", "0" * 64, None, "{}", layers)


LAYERS = [
    Layer("first", (5, 2, 3), axes=("channel", "row", "col")),
    Layer("last", (2, 3, 5), axes=("row", "col", "channel")),
    Layer("turned", (5, 3, 2), axes=("channel", "col", "row")),
    Layer("tokens", (7, 4), axes=("token", "dim"), class_tokens=1, register_tokens=2),
    Layer("across", (4, 7), axes=("dim", "token")),
    Layer("patches", (7, 4), axes=("token", "dim"), class_tokens=0, register_tokens=0),
    Layer("flat", (6,), axes=("channel",)),
    Layer("untold", (2, 3, 4), axes=()),
    Layer("older", (5, 2, 3)),
    Layer("older_flat", (6,)),
    Layer("older_tokens", (7, 4)),
]
WORDS = ["channel", "row", "col", "token", "dim"]


@pytest.fixture
def wh(empty: Warehouse) -> Warehouse:
    register(empty.storage, row_of(layers_json(LAYERS)))
    return empty


def meant(layer: Layer) -> tuple[str, ...]:
    by_number = {3: ("channel", "row", "col"), 1: ("channel",)}
    return by_number.get(len(layer.shape), ()) if layer.axes is None else layer.axes


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_units_are_numbered_over_the_axes_of_their_layer(wh: Warehouse, layer: Layer) -> None:
    found = wh.frame("FROM units WHERE layer = $layer ORDER BY unit_id", layer=layer.name)
    assert found["unit_id"].to_list() == list(range(layer.units))
    places = itertools.product(*map(range, layer.shape))  # row-major
    expected = [dict(zip(meant(layer), place, strict=False)) for place in places]
    for word in WORDS:
        assert found[word].to_list() == [place.get(word) for place in expected], word
        assert found[word].dtype == pl.Int32


def test_tokens_that_lead_are_marked(wh: Warehouse) -> None:
    def kinds(layer: str) -> list[str | None]:
        question = "SELECT token_kind FROM units WHERE layer = $l AND coalesce(dim, 0) = 0"
        return wh.frame(f"{question} ORDER BY token", l=layer)["token_kind"].to_list()

    assert kinds("tokens") == ["class", "register", "register", *["patch"] * 4]
    assert kinds("patches") == ["patch"] * 7
    assert set(kinds("across")) == set(kinds("first")) == set(kinds("flat")) == {None}


def test_a_filter_numbers_no_other_layer(empty: Warehouse) -> None:
    """Ten thousand layers of two milliards of units: any but one alone would not end."""
    huge = [Layer(f"huge{i}", (2**31 - 1,), axes=("channel",)) for i in range(10_000)]
    register(empty.storage, row_of(layers_json([*huge, LAYERS[3]])))
    query = "SELECT max(token), max(dim) FROM units WHERE network = 'net' AND layer = 'tokens'"
    assert empty.frame(query).row(0) == (6, 3)


def test_layers_are_listed_with_axes_and_size(wh: Warehouse) -> None:
    found = wh.frame(schemas.sql("queries")["network_layers"], network="net")
    assert found["layer"].to_list() == [layer.name for layer in LAYERS]
    said = {layer.name: " x ".join(meant(layer)) or None for layer in LAYERS}
    assert dict(found.select("layer", "axes").iter_rows()) == said
    (tokens,) = found.filter(layer="tokens").to_dicts()
    assert (tokens["shape"], tokens["tokens"]) == ("7 x 4", "1 class, 2 register")
    assert (tokens["units"], tokens["mb_per_stimulus"]) == (28, pytest.approx(112e-6))


def test_what_is_stored_of_a_layer_is_read_as_it_was(wh: Warehouse) -> None:
    assert list(registered(wh, "net").all_layers().values()) == LAYERS
    older = json.dumps([{"name": "conv", "shape": [5, 2, 3], "dtype": "float32"}])
    assert row_of(older).layer("conv") == Layer("conv", (5, 2, 3))


def test_a_network_of_an_older_warehouse_is_the_same_network(empty: Warehouse) -> None:
    older = [Layer("conv", (5, 2, 3)), Layer("mixed", (4, 4))]
    register(empty.storage, row_of(layers_json(older)))
    newer = [replace(older[0], axes=("channel", "row", "col"))]
    assert not register(empty.storage, row_of(layers_json(newer)))
    with pytest.raises(Conflict, match="of another layers"):
        register(empty.storage, row_of(layers_json([Layer("conv", (5, 3, 3))])))


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (["head", "stem", "head"], ["head", "stem"]),
        (["blocks.*"], ["blocks.0", "blocks.0.act", "blocks.1"]),
        (["blocks.?"], ["blocks.0", "blocks.1"]),
        (["h*", "blocks.1", "blocks.[1]", "stem"], ["stem", "blocks.1", "head"]),
        (["all"], NAMES),
    ],
)
def test_patterns_choose_in_forward_order_each_once(asked: list[str], chosen: list[str]) -> None:
    assert choose_layers(NAMES, asked) == (chosen, [])


def test_a_name_that_is_there_is_no_pattern() -> None:
    names = ["a*", "ab", "all", "b"]
    assert choose_layers(names, ["a*"]) == (["a*"], [])
    assert choose_layers(names, ["all", "b"]) == (["all", "b"], [])


def test_what_matches_nothing_is_told() -> None:
    assert choose_layers(NAMES, ["x*", "Stem", "stem"]) == (["stem"], ["x*", "Stem"])
    assert choose_layers(["stem"], [".*"]) == ([], [".*"])

"""The plan of an ingest: everything that is missing, once, on a grid that nothing moves."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cells import cut_cells

from fexp_store.ingest.plan import Plan
from fexp_store.networks.architectures.vgg import CONVOLUTIONS
from fexp_store.warehouse.activations import grid
from fexp_store.warehouse.networks import Layer

LAYERS = (Layer("a", (64, 8, 8)), Layer("b", (128,)), Layer("c", (512, 14, 14)))
Ranges = dict[str, list[tuple[int, int]]]


@pytest.fixture(autouse=True)
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_cells(monkeypatch, 256, 4096)  # of b 8192, of c 10


@st.composite
def stored_ranges(draw: st.DrawFn) -> tuple[int, Ranges]:
    n_stimuli = draw(st.integers(1, 500))
    edges = st.lists(st.integers(0, n_stimuli), unique=True, max_size=8).map(sorted)
    stored = {}
    for layer in LAYERS:
        found = draw(edges)
        stored[layer.name] = list(zip(found[::2], found[1::2], strict=False))
    return n_stimuli, stored


def plan_of(n_stimuli: int, stored: Ranges, batch_size: int = 32) -> Plan:
    missing = {x: grid.complement(stored.get(x.name, []), n_stimuli) for x in LAYERS}
    return Plan(missing, n_stimuli, batch_size)


@given(given=stored_ranges(), batch_size=st.integers(1, 99))
def test_what_is_missing_is_in_one_piece_and_goes_through_the_network_once(
    given: tuple[int, Ranges], batch_size: int
) -> None:
    n_stimuli, stored = given
    plan = plan_of(n_stimuli, stored, batch_size)
    batches = list(plan.batches())
    for layer in LAYERS:
        have = {i for a, b in stored[layer.name] for i in range(a, b)}
        missing = sorted(set(range(n_stimuli)) - have)
        pieces = list(plan.pieces(layer))
        assert [i for piece in pieces for i in range(piece.start, piece.stop)] == missing
        run = [
            i
            for batch in batches
            for piece in batch.pieces
            if piece.layer == layer
            for i in range(max(batch.start, piece.start), min(batch.stop, piece.stop))
        ]
        assert run == missing
        assert sorted(p.start for b in batches for p in b.full if p.layer == layer) == [
            piece.start for piece in pieces
        ]
    assert plan.fragments == sum(len(list(plan.pieces(layer))) for layer in LAYERS)
    assert plan.stimuli == sum(batch.stop - batch.start for batch in batches)
    assert bool(plan) is bool(batches)


@given(given=stored_ranges(), batch_size=st.integers(1, 99))
def test_batches_and_pieces_lie_on_grids_whatever_is_stored(
    given: tuple[int, Ranges], batch_size: int
) -> None:
    n_stimuli, stored = given
    plan = plan_of(n_stimuli, stored, batch_size)
    batches = list(plan.batches())
    assert all(one.stop <= other.start for one, other in pairwise(batches))
    for batch in batches:
        assert batch.start % batch_size == 0
        assert batch.stop == min(batch.start + batch_size, n_stimuli)
        assert batch.pieces
    for layer in LAYERS:
        size = grid.cell_stimuli(layer.units)
        assert size * layer.units * 4 <= grid.FRAGMENT_BYTES
        for piece in plan.pieces(layer):
            assert piece.start // size == (piece.stop - 1) // size


@given(n_stimuli=st.integers(1, 300), cut=st.integers(0, 300), other=st.integers(0, 300))
def test_ranges_that_overlap_or_exceed_the_set_are_not_missing(
    n_stimuli: int, cut: int, other: int
) -> None:
    stored = sorted([(0, cut), (other, other + 50), (other, other + 20)])
    missing = [i for a, b in grid.complement(stored, n_stimuli) for i in range(a, b)]
    have = {i for a, b in stored for i in range(a, b)}
    assert missing == sorted(set(range(n_stimuli)) - have)


def test_nothing_missing_is_nothing_to_do() -> None:
    plan = plan_of(10, {x.name: [(0, 3), (3, 10)] for x in LAYERS})
    assert not plan
    assert list(plan.batches()) == []


def test_several_layers_come_from_one_pass_and_each_fills_its_own_cells() -> None:
    plan = plan_of(48, {})
    assert [(b.start, b.stop) for b in plan.batches()] == [(0, 32), (32, 48)]
    assert {layer.name: len(list(plan.pieces(layer))) for layer in LAYERS} == {
        "a": 1,
        "b": 1,
        "c": 5,
    }


def test_a_million_images_of_vggs_convolutions_are_few_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    layers = [
        Layer(f"conv{block}_{place}", (min(64 << block, 512), 224 >> block, 224 >> block))
        for block, convolutions in enumerate(CONVOLUTIONS)
        for place in range(convolutions)
    ]
    assert (len(layers), layers[0].units, layers[-1].units) == (13, 3_211_264, 100_352)
    plan = Plan({layer: [(0, 1_000_000)] for layer in layers}, 1_000_000, 32)
    assert 100_000 < plan.fragments <= 105_000
    assert plan.stimuli == 1_000_000
    for layer in layers:
        first = next(plan.pieces(layer))
        assert 0.97 * grid.FRAGMENT_BYTES < first.bytes <= grid.FRAGMENT_BYTES
    assert plan.open_bytes <= 2 * len(layers) * grid.FRAGMENT_BYTES
    conv5_3 = Plan({layers[-1]: [(0, 624)]}, 624, 32)
    assert conv5_3.fragments == 1

"""The plan of an ingest: everything that is missing, once, in bounded portions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fexp_store.ingest.plan import Span, batch_images, buffer_bytes, plan
from fexp_store.warehouse.activations.fragment import FRAGMENT_BYTES, ROW_BYTES
from fexp_store.warehouse.networks import Layer

LAYERS = (Layer("a", (64, 8, 8)), Layer("b", (128,)), Layer("c", (512, 14, 14)))


@st.composite
def stored_ranges(draw: st.DrawFn) -> tuple[int, dict[str, list[tuple[int, int]]]]:
    n_stimuli = draw(st.integers(1, 500))
    edges = st.lists(st.integers(0, n_stimuli), unique=True, max_size=8).map(sorted)
    stored = {}
    for layer in LAYERS:
        found = draw(edges)
        stored[layer.name] = list(zip(found[::2], found[1::2], strict=False))
    return n_stimuli, stored


@given(given=stored_ranges(), memory=st.integers(1, 1 << 28), batch_size=st.integers(1, 99))
def test_spans_hold_what_is_missing_exactly_once_and_within_memory(
    given: tuple[int, dict[str, list[tuple[int, int]]]], memory: int, batch_size: int
) -> None:
    n_stimuli, stored = given
    spans = plan(LAYERS, stored, n_stimuli, memory, batch_size)
    for layer in LAYERS:
        have = {i for a, b in stored[layer.name] for i in range(a, b)}
        planned = [i for s in spans if layer in s.layers for i in range(s.start, s.stop)]
        assert sorted(planned) == sorted(set(range(n_stimuli)) - have)
    for span in spans:
        units = [layer.units for layer in span.layers]
        images = batch_images(span.layers, memory, batch_size)
        assert 1 <= images <= batch_size
        assert buffer_bytes(span, images) <= memory or span.stimuli == 1
        assert span.stimuli * max(units) * ROW_BYTES <= FRAGMENT_BYTES or span.stimuli == 1


def test_nothing_missing_is_nothing_to_do() -> None:
    assert plan(LAYERS, {x.name: [(0, 3), (3, 10)] for x in LAYERS}, 10, 1 << 30, 32) == []


def test_several_layers_come_from_one_pass() -> None:
    (span,) = plan(LAYERS, {}, 48, 1 << 30, 32)
    assert (span.start, span.stop, span.layers) == (0, 48, LAYERS)


def test_a_set_is_cut_into_equal_portions() -> None:
    layer = Layer("c", (512, 14, 14))
    spans = plan([layer], {}, 1000, 300 * 100_352 * 4 * 2, 32)
    assert [s.stimuli for s in spans] == [250, 250, 250, 250]
    assert buffer_bytes(Span(0, 250, (layer,)), 32) == 2 * 4 * 100_352 * (250 + 32)

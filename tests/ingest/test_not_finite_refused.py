"""Not-a-number and infinity are caught at the door, or stored and counted where that is wanted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.cells import cut_cells
from support.small import insert_module
from support.writing import state

from fexp_store import BadInput, Warehouse
from fexp_store.ingest import Options, ingest


class Poison(torch.nn.Module):
    """Puts a value into one unit's response to one of the images that go through."""

    def __init__(self, image: int, unit: int, value: float) -> None:
        super().__init__()
        self.image, self.unit, self.value, self.seen = image, unit, value, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        here = self.image - self.seen
        if 0 <= here < len(x):
            x[here].view(-1)[self.unit] = self.value
        self.seen += len(x)
        return x


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_response_that_is_not_finite_is_named_and_nothing_is_stored(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    insert_module(monkeypatch, 6, Poison(7, 100, value))
    before = state(small)
    words = rf"small flat on set1: the activation of unit 100 for stimulus 7 is {value}; nothing of"
    with pytest.raises(BadInput, match=words):
        ingest(small, "small", ["early", "flat"], "set1")
    assert state(small) == before


def test_pieces_before_it_stay_and_the_next_ingest_goes_on(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_cells(monkeypatch, 4, 128)
    options = Options(batch_size=2)
    with monkeypatch.context() as patch:
        insert_module(patch, 6, Poison(9, 3, np.nan))
        with pytest.raises(BadInput, match="stimulus 9 is nan; nothing of stimuli 8 to 11 was sto"):
            ingest(small, "small", ["flat"], "set1", options)
    stored = small.frame("SELECT DISTINCT stimulus_id FROM activations ORDER BY ALL")
    assert stored["stimulus_id"].to_list() == list(range(8))
    assert ingest(small, "small", ["flat"], "set1", options).fragments == 3


def test_with_leave_it_is_stored_and_counted(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_module(monkeypatch, 6, Poison(7, 100, np.nan))
    options = Options(allow_nonfinite=True)
    done = ingest(small, "small", ["early", "flat"], "set1", options)
    assert (done.fragments, done.nonfinite) == (2, 1)
    counts = small.frame("SELECT layer, nonfinite FROM fragments ORDER BY layer")
    assert counts.rows() == [("early", 0), ("flat", 1)]
    wrong = np.argwhere(~np.isfinite(small.matrix("small", "flat", "set1").values))
    assert wrong.tolist() == [[7, 100]]


def test_what_rounding_makes_infinite_is_refused_too(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_module(monkeypatch, 6, Poison(0, 0, float(np.finfo(np.float32).max)))
    with pytest.raises(BadInput, match=r"unit 0 for stimulus 0 is inf \(with 10 bits kept\)"):
        ingest(small, "small", ["flat"], "set1", Options(keep_bits=10))
    assert ingest(small, "small", ["flat"], "set1").fragments == 1

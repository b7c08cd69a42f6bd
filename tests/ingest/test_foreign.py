"""After another Delta client has rewritten what was ingested, commands go on and say so."""

from __future__ import annotations

import numpy as np
import pytest
from deltalake import DeltaTable, write_deltalake
from support.writing import Fexp

from fexp_store import Warehouse
from fexp_store.ingest import Options, ingest
from fexp_store.ingest.explain import explain
from fexp_store.ingest.request import prepare
from fexp_store.warehouse.status import status

LAYERS = ["early", "late", "flat"]
OPTIONS = Options(device="cpu", batch_size=6, workers=1)


@pytest.fixture
def rewritten(small: Warehouse) -> Warehouse:
    """Three layers of 18 stimuli, of which another client has rewritten every file."""
    ingest(small, "small", LAYERS, "set1", OPTIONS)
    table = DeltaTable(small.storage.uri("activations"))
    rows = table.to_pyarrow_table(columns=table.schema().to_arrow().names)
    write_deltalake(table, rows, mode="overwrite")
    return small


def test_an_ingest_stores_what_they_took_away_and_nothing_else(
    rewritten: Warehouse, fexp: Fexp
) -> None:
    before = rewritten.matrix("small", "late", "set1").values
    found = status(rewritten.storage).layers
    assert found["foreign"].to_list() == found["files"].to_list() == [1, 1, 1]
    assert set(found["state"]) == {"complete"}
    assert ingest(rewritten, "small", LAYERS, "set1", OPTIONS).stimuli == 0
    why = explain(rewritten, prepare(rewritten, "small", LAYERS, "set1", OPTIONS))
    assert set(why["why"]) == {"stored, in a file that another program wrote"}

    gone = "layer = 'late' AND stimulus_id >= 6 AND stimulus_id < 12"
    DeltaTable(rewritten.storage.uri("activations")).delete(gone)
    found = status(rewritten.storage).layers.filter(layer="late")
    assert found.select("stored", "state").row(0) == (12, "incomplete")
    done = fexp("-w", rewritten.location, "status", "--format", "csv")
    assert "small,late,set1,12,18,incomplete" in done.stdout
    assert ingest(rewritten, "small", LAYERS, "set1", OPTIONS).stimuli == 6
    again = rewritten.matrix("small", "late", "set1").values
    assert np.array_equal(again.view("u4"), before.view("u4"))
    assert set(status(rewritten.storage).layers["state"]) == {"complete"}

"""Warehouses of format 1, which lack columns and tables of today, are read and added to."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal
from support.bare import bare
from support.older import ADDED, make_older
from support.writing import write_photographs

from fexp_store import Damaged, Warehouse, schemas
from fexp_store.ingest import ingest
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse import runs, tables
from fexp_store.warehouse.networks import registered

TEXT = dict.fromkeys(("measure", "network_a", "network_b", "test", "sampled_by"), "x")
COMPARISON = {"name": "set1", **TEXT, **dict.fromkeys(("replicates_a", "replicates_b"), 1)}
COMPARISON |= {"n_a": 1, "n_b": 1, "p": 0.5}


@pytest.fixture
def older(own_copy: Warehouse) -> Warehouse:
    """A warehouse as an earlier version wrote it: without the columns and the table above."""
    store_comparison(own_copy, "1")
    make_older(own_copy)
    return Warehouse(own_copy.location)


def store_comparison(wh: Warehouse, n: str, **more: str) -> None:
    run = runs.begin(wh.storage, "compare", {"stimulus_set": "set1"}, {"number": n})
    rows = pl.DataFrame([COMPARISON | {"run_id": run.run_id} | more])
    tables.append(wh.storage, "results/comparison", rows)
    runs.record_end(wh.storage, run)


def test_what_is_missing_reads_as_null(ingested: Warehouse, older: Warehouse) -> None:
    for name, added in ADDED.items():
        fields = DeltaTable(older.storage.uri(name)).schema().fields
        assert not set(added) & {field.name for field in fields}
        rows = tables.read(older.storage, name)
        assert rows.columns == schemas.tables()[name].arrow.names
        assert rows.height > 0
        assert rows.select(added).null_count().row(0) == (rows.height,) * len(added)
    for view in ("stimuli", "networks", "fragments", "units"):
        whole, added = ingested.frame(f"FROM {view}"), ADDED.get(view, [])
        assert_frame_equal(older.frame(f"FROM {view}").drop(added), whole.drop(added))
    assert registered(older, "dlib") == registered(ingested, "dlib")


def test_a_bare_client_sees_the_new_columns_as_null(older: Warehouse) -> None:
    older.rebuild_catalog()
    with bare(older.location) as plain:
        for name, added in ADDED.items():
            columns = ", ".join(added)
            (found,) = plain.sql(f"SELECT DISTINCT {columns} FROM {name.split('/')[-1]}").fetchall()
            assert found == (None,) * len(added)
        count = plain.sql("SELECT count(*) FROM activations").fetchall()
        assert count == [(48 * (2 * 8192 + 128),)]
        assert plain.sql("FROM landmarks").fetchall() == []


def test_new_rows_stand_beside_old_ones(older: Warehouse, tmp_path: Path) -> None:
    assert not add_manifest(older, "set1", write_photographs(tmp_path / "same", 8))
    assert add_manifest(older, "set2", write_photographs(tmp_path / "new", 2))
    ingest(older, "dlib", ["embedding"], "set2")
    store_comparison(older, "1", layer_a="conv4_3", layer_b="conv4_4")
    store_comparison(older, "2", layer_a="conv5_1", layer_b="conv5_2")
    assert older.frame("FROM stimuli").height == 48 + 12
    assert older.matrix("dlib", "embedding", "set2").values.shape == (12, 128)
    by_time = "FROM stored.comparison JOIN runs USING (run_id) ORDER BY started"
    layers = older.frame(f"SELECT layer_a, layer_b {by_time}").rows()
    assert layers == [(None, None), ("conv4_3", "conv4_4"), ("conv5_1", "conv5_2")]
    assert older.frame("SELECT layer_b FROM comparison").rows() == [("conv5_2",)]


def test_writers_that_add_the_same_columns_at_once_lose_nothing(older: Warehouse) -> None:
    def write(n: int) -> None:
        store_comparison(older, f"at once {n}", layer_a=f"a{n}", layer_b="b")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    stored = tables.read(older.storage, "results/comparison")["layer_a"]
    assert stored.null_count() == 1
    assert sorted(stored.drop_nulls()) == [f"a{n}" for n in range(8)]


def test_only_tables_of_later_versions_are_made_when_asked_for(older: Warehouse) -> None:
    for name in ("landmarks", "results/comparison"):
        shutil.rmtree(older.storage.uri(name), ignore_errors=True)
        assert tables.read(older.storage, name).is_empty()
    shutil.rmtree(older.storage.uri("stimuli"))
    with pytest.raises(Damaged, match="The table stimuli is missing"):
        tables.read(older.storage, "stimuli")

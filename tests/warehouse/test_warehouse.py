"""The warehouse directory, its tables and its catalog."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from support.writing import state, write_photographs

from fexp_store import BadInput, Conflict, Damaged, NotFound, Warehouse, schemas
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse import catalog, delta
from fexp_store.warehouse.storage import inside

QUESTION = """
SELECT stimulus_id, count(*) AS n, sum(activation::DECIMAL(18, 6)) AS total
FROM activations GROUP BY ALL ORDER BY ALL
"""


def test_every_stored_table_has_the_columns_of_its_schema(empty: Warehouse) -> None:
    for name, schema in schemas.tables().items():
        table = delta.open_table(empty.storage, name)
        assert [f.name for f in table.schema().fields] == schema.arrow.names
        assert tuple(table.metadata().partition_columns) == schema.partition_by


def test_a_warehouse_is_made_once(empty: Warehouse) -> None:
    before = state(empty)
    with pytest.raises(Conflict, match="is a warehouse already"):
        Warehouse.create(empty.location)
    assert state(empty) == before


def test_a_directory_with_other_files_does_not_become_a_warehouse(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(BadInput, match=r"thesis\.tex"):
        Warehouse.create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_interrupted_init_is_completed_by_the_next(empty: Warehouse) -> None:
    (Path(empty.location) / "warehouse.json").unlink()
    shutil.rmtree(Path(empty.location) / "runs")
    assert Warehouse.create(empty.location).frame("FROM runs").is_empty()


def test_a_directory_that_is_no_warehouse_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is no warehouse; make one with"):
        Warehouse(tmp_path)


def test_a_newer_format_is_refused(empty: Warehouse) -> None:
    marker = Path(empty.location) / "warehouse.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"format_version": 4}))
    with pytest.raises(Damaged, match="has format 4 and this fexp-store reads up to 3"):
        Warehouse(empty.location)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": "new"}', "\x00"])
def test_an_unreadable_marker_is_damage(empty: Warehouse, text: str) -> None:
    (Path(empty.location) / "warehouse.json").write_text(text)
    with pytest.raises(Damaged):
        Warehouse(empty.location)


def test_answers_are_the_same_without_the_catalog_and_after_a_move(
    ingested: Warehouse, tmp_path: Path
) -> None:
    expected = ingested.frame(QUESTION)
    assert expected.height == 48
    moved = tmp_path / "elsewhere"
    shutil.copytree(ingested.location, moved)
    assert_frame_equal(Warehouse(moved).frame(QUESTION), expected)
    (moved / catalog.FILE_NAME).unlink()
    assert_frame_equal(Warehouse(moved).frame(QUESTION), expected)


def test_a_damaged_catalog_is_built_again(ingested: Warehouse, tmp_path: Path) -> None:
    expected = ingested.frame("FROM fragments")
    copy = tmp_path / "copy"
    shutil.copytree(ingested.location, copy)
    (copy / catalog.FILE_NAME).write_bytes(b"not a database")
    assert_frame_equal(Warehouse(copy).frame("FROM fragments"), expected)


def test_an_open_warehouse_sees_what_another_writes(empty: Warehouse, photographs: Path) -> None:
    other = Warehouse(empty.location)
    assert empty.frame("FROM stimuli").is_empty()
    add_manifest(other, "set1", photographs)
    assert empty.frame("FROM stimuli").height == 24


def test_a_file_that_is_not_committed_is_invisible(ingested: Warehouse, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ingested.location, copy)
    wh = Warehouse(copy)
    expected = wh.frame(QUESTION)
    committed = next((copy / "activations").rglob("*.parquet"))
    shutil.copy(committed, committed.with_name("part-stranger.parquet"))
    wh.rebuild_catalog()
    assert_frame_equal(wh.frame(QUESTION), expected)


def test_polars_reads_the_same_rows_as_sql(ingested: Warehouse) -> None:
    where = {"network": "dlib", "layer": "conv4_3:pre", "stimulus_set": "set1"}
    order = ["unit_id", "stimulus_id"]
    by_polars = ingested.activations(**where).sort(order).collect()
    by_sql = ingested.frame("FROM activations WHERE layer = 'conv4_3:pre'").sort(order)
    assert by_polars.height == 128 * 8 * 8 * 48
    assert_frame_equal(by_polars, by_sql, check_column_order=False)


def test_matrices_hold_the_rows_of_the_long_table(ingested: Warehouse) -> None:
    whole = ingested.matrix("dlib", "conv4_3", "set1")
    long = ingested.frame("FROM activations WHERE layer = 'conv4_3' ORDER BY stimulus_id, unit_id")
    assert whole.values.shape == (48, 8192)
    assert (whole.values.ravel() == long["activation"].to_numpy()).all()
    assert whole.stimuli["stimulus_id"].to_list() == list(range(48))
    some = ingested.matrix("dlib", "conv4_3", "set1", units=[0, 7, 8191])
    assert (some.values == whole.values[:, [0, 7, 8191]]).all()
    blocks = list(ingested.matrix_blocks("dlib", "conv4_3", "set1", block_bytes=48 * 4 * 1000))
    assert [b.values.shape[1] for b in blocks] == [1000] * 8 + [192]
    for block in blocks:
        assert (block.values == whole.values[:, block.unit_ids]).all()


@pytest.mark.parametrize("units", [[3, 2], [1, 1], [-1, 4], [8192]])
def test_a_matrix_of_units_that_are_not_there_is_refused(
    ingested: Warehouse, units: list[int]
) -> None:
    with pytest.raises(BadInput, match="units must ascend"):
        ingested.matrix("dlib", "conv4_3", "set1", units=units)


def test_a_flipped_bit_is_noticed_when_a_matrix_is_read(
    ingested: Warehouse, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ingested.location, copy)
    file = max((copy / "activations").rglob("*.parquet"), key=lambda p: p.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    layer = file.parts[-3].removeprefix("layer=").replace("%3A", ":")
    with pytest.raises(Damaged, match="is not the file that was stored"):
        Warehouse(copy).matrix("dlib", layer, "set1")


def test_units_are_numbered_row_major(ingested: Warehouse) -> None:
    units = ingested.frame("FROM units WHERE network = 'dlib' AND layer = 'conv4_3'")
    assert units.height == 128 * 8 * 8
    expected = units.select((pl.col("channel") * 8 + pl.col("row")) * 8 + pl.col("col"))
    assert (expected.to_series() == units["unit_id"]).all()
    flat = ingested.frame("FROM units WHERE layer = 'embedding' ORDER BY unit_id")
    assert flat["channel"].to_list() == list(range(128))
    assert flat["row"].null_count() == flat["col"].null_count() == 128


def _register(root: str, photographs: str) -> bool:
    return add_manifest(Warehouse(root), "set1", Path(photographs))


@pytest.mark.slow
def test_two_processes_that_register_one_set_register_it_once(
    empty: Warehouse, photographs: Path
) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_register, empty.location, str(photographs)) for _ in range(4)]
        assert sorted(job.result() for job in jobs) == [False, False, False, True]
    assert empty.frame("FROM stimuli").height == 24


def test_a_set_never_changes(empty: Warehouse, photographs: Path, tmp_path: Path) -> None:
    assert add_manifest(empty, "set1", photographs)
    assert not add_manifest(empty, "set1", photographs)
    other = write_photographs(tmp_path / "other", 4, seed=1)
    before = state(empty)
    with pytest.raises(Conflict, match="sets never change"):
        add_manifest(empty, "set1", other)
    assert state(empty) == before


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "s3://b/x", "a\\..\\x"])
def test_a_stored_path_cannot_leave_its_root(tmp_path: Path, path: str) -> None:
    with pytest.raises(Damaged, match="outside its own directory"):
        inside(tmp_path, path)


REFUSED = {
    "write a table": "CREATE TABLE t (a INTEGER)",
    "write a file": "COPY (SELECT 1) TO 'x.csv'",
    "write a file in the warehouse": "COPY (SELECT 1) TO '{root}/activations/x.csv'",
    "attach": "ATTACH 'x.duckdb'",
    "read a file": "FROM read_text('/etc/passwd')",
    "read a table from a file": "FROM '/etc/passwd'",
    "insert": "INSERT INTO stored.runs SELECT * FROM stored.runs",
    "delete": "DELETE FROM stored.runs",
    "set": "SET threads = 1",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "several": "SELECT 1; SELECT 2",
    "none": "",
}


@pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED)
def test_sql_only_asks(ingested: Warehouse, query: str) -> None:
    before = state(ingested)
    with pytest.raises(BadInput):
        ingested.query(query.format(root=ingested.location))
    assert state(ingested) == before

"""The catalog: it travels, is believed only where it was built, and shows what the log says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.transaction import AddAction
from polars.testing import assert_frame_equal
from support.bare import WAYS, bare
from support.writing import write_fragment

from fexp_store import FexpError, Warehouse, schemas
from fexp_store.warehouse import catalog, checked, saved
from fexp_store.warehouse.place import Place

SUMS = "SELECT layer, count(*) AS n, sum(activation::DECIMAL(18, 6)) AS total FROM activations"
QUESTION = f"{SUMS} GROUP BY layer ORDER BY layer"


def file(wh: Warehouse) -> Path:
    return Path(wh.location) / catalog.FILE_NAME


def identity(path: Path) -> tuple[int, int]:
    return path.stat().st_ino, path.stat().st_mtime_ns


def test_it_is_built_in_the_warehouse_and_then_used(own_copy: Warehouse) -> None:
    own_copy.frame("FROM runs")
    built = identity(file(own_copy))
    assert Warehouse(own_copy.location).frame(QUESTION).height == 3
    assert identity(file(own_copy)) == built


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_answers_without_the_original(ingested: Warehouse, tmp_path: Path, way: str) -> None:
    expected = ingested.frame(QUESTION)
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(ingested.location, first)
    Warehouse(first).rebuild_catalog()
    first.rename(second)
    with bare(second, way) as plain:
        assert_frame_equal(plain.sql(QUESTION).pl(), expected)
        plain.execute("SET file_search_path = ''")
        plain.execute("RESET VARIABLE fexp_root")
    assert_frame_equal(Warehouse(second).frame(QUESTION), expected)


@pytest.mark.slow
def test_a_bare_client_on_a_copy_opens_nothing_of_the_original(own_copy: Warehouse) -> None:
    own_copy.rebuild_catalog()
    copy = Path(own_copy.location).with_name("copy of it")
    shutil.copytree(own_copy.location, copy)
    code = f"import duckdb; print(duckdb.connect('catalog.duckdb', read_only=True).sql('{SUMS}'))"
    command = ["strace", "-f", "-e", "trace=file", sys.executable, "-c", code.split(" GROUP")[0]]
    code = f"duckdb.connect('catalog.duckdb', read_only=True).sql('''{QUESTION}''').fetchall()"
    command[-1] = f"import duckdb; assert len({code}) == 3"
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True)
    opened = [line for line in done.stderr.splitlines() if "part-" in line]
    assert opened
    assert own_copy.location not in done.stderr.replace(str(copy), "")


def test_no_file_that_travels_says_where_the_warehouse_is(own_copy: Warehouse) -> None:
    saved.save(own_copy, "mine", "SELECT 1 AS x", {})
    empty = Warehouse.create(Path(own_copy.location).with_name("new and empty"))
    for wh in (own_copy, empty):
        wh.rebuild_catalog()
        for path in (p for p in Path(wh.location).rglob("*") if p.is_file()):
            if ".local" not in path.parts:
                content = path.read_bytes()
                for text in {wh.location, quote(wh.location)}:
                    assert text.encode() not in content, path


def plant_view(path: Path) -> None:
    """A catalog that says of itself what the one before said, and lies about the rest."""
    with duckdb.connect(str(path), read_only=True) as plain:
        ((state,),) = plain.execute("SELECT state FROM stored.catalog_state").fetchall()
        listed = plain.sql("FROM stored.listed").to_arrow_table()
    path.unlink()
    with duckdb.connect(str(path)) as planted:
        planted.execute("CREATE SCHEMA stored")
        planted.execute("CREATE TABLE stored.catalog_state AS SELECT ? AS state", [state])
        planted.execute("CREATE TABLE stored.listed AS FROM listed")
        planted.execute("CREATE VIEW activations AS SELECT 'evil' AS layer, 1 AS activation")
        assert listed.num_rows


def plant_log(path: Path) -> None:
    """What DuckDB would replay when it opens the catalog."""
    with duckdb.connect(str(path)) as planted:
        planted.execute("SET checkpoint_threshold = '1TB'")
        planted.execute("PRAGMA disable_checkpoint_on_shutdown")
        planted.execute(
            "CREATE OR REPLACE VIEW activations AS SELECT 'evil' AS layer, 1 AS activation"
        )
    assert path.with_name(f"{path.name}.wal").exists()


@pytest.mark.parametrize("plant", [plant_view, plant_log])
def test_what_somebody_planted_is_not_believed(
    own_copy: Warehouse, plant: Callable[[Path], None]
) -> None:
    expected = own_copy.frame(QUESTION)
    own_copy.close()
    plant(file(own_copy))
    assert_frame_equal(Warehouse(own_copy.location).frame(QUESTION), expected)
    assert catalog.FILE_NAME in checked.known(own_copy.storage)
    with bare(own_copy.location) as plain:
        assert_frame_equal(plain.sql(QUESTION).pl(), expected)


def test_a_log_of_what_was_changed_is_not_replayed_on_a_catalog_that_is_believed(
    own_copy: Warehouse, tmp_path: Path
) -> None:
    expected = own_copy.frame(QUESTION)
    own_copy.close()
    other = tmp_path / "other.duckdb"
    shutil.copy(file(own_copy), other)
    plant_log(other)
    shutil.move(f"{other}.wal", f"{file(own_copy)}.wal")
    assert_frame_equal(Warehouse(own_copy.location).frame(QUESTION), expected)


def test_the_names_of_folders_above_a_warehouse_mean_nothing(
    ingested: Warehouse, tmp_path: Path
) -> None:
    root = tmp_path / "network=evil" / "layer=evil" / "stimulus_set=evil"
    shutil.copytree(ingested.location, root)
    wh = Warehouse(root)
    query = "SELECT DISTINCT network, layer, stimulus_set FROM activations ORDER BY ALL"
    expected = ingested.frame(query)
    assert "evil" not in str(expected.rows())
    assert_frame_equal(wh.frame(query), expected)
    assert_frame_equal(
        wh.activations().select(expected.columns).unique().sort(pl.all()).collect(), expected
    )
    with bare(root) as plain:
        assert_frame_equal(plain.sql(query).pl(), expected)


def test_the_log_says_whose_a_file_is_not_its_path(empty: Warehouse) -> None:
    """Files that the log names in folders of other values, in none, and with odd names."""
    there = Place("net", "pool:1", "faces")
    written = write_fragment(empty, np.arange(6, dtype=np.float32).reshape(3, 2), 0, there)
    table = DeltaTable(empty.storage.uri("activations"))
    root = Path(table.table_uri.removeprefix("file://"))
    places = [Place("a", "conv[1]*", "s'1"), Place("b", "x", "s"), Place("c", "x", "s"), there]
    paths = [
        f"{Place('wrong', 'x', 's').path}/part-1.parquet",
        "part-[2]*.parquet",
        "é #%2F?.parquet",
    ]
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / written.path, root / path)
    schema = schemas.tables()["activations"]
    table.create_write_transaction(
        [
            AddAction(path, written.bytes, place.columns, 0, True, json.dumps({"numRecords": 6}))
            for path, place in zip([*paths, written.path], places, strict=True)
        ],
        mode="append",
        schema=schema.arrow,
        partition_by=list(schema.partition_by),
    )
    found = empty.frame(
        "SELECT network, layer, stimulus_set, sum(activation) FROM activations GROUP BY ALL"
    )
    assert sorted(found.rows()) == sorted((*place, 15.0) for place in places)
    for place in places:
        one = "SELECT count(*) FROM activations WHERE network = $network AND layer = $layer"
        assert empty.frame(one, network=place.network, layer=place.layer).item() == 6
    empty.rebuild_catalog()
    with bare(empty.location) as plain:
        assert len(plain.sql("SELECT DISTINCT network FROM activations").fetchall()) == 4


NAMES = ["x AS SELECT 1; COPY (SELECT 1) TO 'canary'; --", 'x"', "X", "ä", "-x", "1x", "..."]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_no_command_names_is_no_saved_result(
    own_copy: Warehouse, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved.save(own_copy, "mine", "SELECT 1 AS x", {})
    folder = Path(own_copy.storage.uri("results/saved"))
    shutil.copytree(folder / "mine", folder / name.replace("/", "-"))
    wh = Warehouse(own_copy.location)
    wh.rebuild_catalog()
    views = wh.frame("SELECT view_name FROM duckdb_views() WHERE schema_name = 'saved'")
    assert views["view_name"].to_list() == ["mine"]
    assert not list(tmp_path.rglob("canary"))


@pytest.mark.parametrize(
    "select",
    ["1 AS filename, [1, 2] AS \"a list\", {'it''s': DATE '2020-01-01'} AS x", "1 AS file"],
)
def test_saved_results_have_the_columns_and_types_of_their_query(
    own_copy: Warehouse, select: str
) -> None:
    query = f"SELECT {select}"
    run = saved.save(own_copy, "mine", query, {})
    found = own_copy.frame("FROM saved.mine")
    assert_frame_equal(found.drop("run_id"), own_copy.frame(query))
    assert found["run_id"].to_list() == [run]


HOSTILE_COLUMNS = {
    "no run": ["x"],
    "quotes": ["a'b", 'a"b', "a]b", "run_id"],
    "an attack": ["x INTEGER); COPY (SELECT 1) TO 'canary'; --", "run_id"],
    "the column of files": ["fexp_file", "filename", "run_id"],
    "a line break": ["a\nb", "run_id"],
}


@pytest.mark.parametrize("columns", HOSTILE_COLUMNS.values(), ids=HOSTILE_COLUMNS)
def test_a_saved_result_of_odd_columns_costs_itself_at_most(
    ingested: Warehouse,
    own_copy: Warehouse,
    columns: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = saved.save(own_copy, "mine", "SELECT 1 AS x", {})
    rows = pa.table([[run if column == "run_id" else "1"] for column in columns], names=columns)
    write_deltalake(own_copy.storage.uri("results/saved/theirs"), rows)
    wh = Warehouse(own_copy.location)
    assert_frame_equal(wh.frame(QUESTION), ingested.frame(QUESTION))
    assert wh.frame("SELECT x FROM saved.mine").item() == 1
    with suppress(FexpError):
        assert wh.query("FROM saved.theirs").columns == columns
    assert not list(tmp_path.rglob("canary"))
    assert (Path(wh.location) / catalog.FILE_NAME).stat().st_size > 0
    assert catalog.FILE_NAME in checked.known(wh.storage)

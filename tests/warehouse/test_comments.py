"""What the catalog says of itself: a comment on every view, column and macro, each said once."""

from __future__ import annotations

import importlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from fexp_store import Warehouse, schemas

FOLDER = Path(__file__).parents[2] / "schemas"
TABLES = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("tables/*.json")}


@pytest.fixture(scope="module")
def plain(ingested: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(ingested.rebuild_catalog(), read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("kind", ["views", "columns", "functions"])
def test_nothing_public_is_without_a_comment(plain: duckdb.DuckDBPyConnection, kind: str) -> None:
    public = f"FROM duckdb_{kind}() WHERE schema_name = 'main' AND NOT internal"
    comments = plain.sql(f"SELECT comment {public}").pl()["comment"]
    assert len(comments) >= 7
    assert comments.null_count() == 0


def test_no_comment_stands_in_two_files() -> None:
    own = [
        column["comment"]
        for table in TABLES.values()
        for column in table["columns"]
        if "comment" in column
    ]
    shared = json.loads((FOLDER / "columns.json").read_text("utf-8"))
    counts = Counter([*own, *(column["comment"] for column in shared.values())])
    assert [comment for comment, n in counts.items() if n > 1] == []


def test_a_column_that_tables_share_has_the_comment_of_both(
    plain: duckdb.DuckDBPyConnection,
) -> None:
    public = "SELECT comment FROM duckdb_columns() WHERE schema_name = 'main'"

    def said(view: str, column: str) -> str:
        query = f"{public} AND table_name = ? AND column_name = ?"
        ((comment,),) = plain.execute(query, [view, column]).fetchall()
        return comment

    assert said("units", "unit_id") == said("tuning", "unit_id") == said("activations", "unit_id")
    assert said("responses", "stimulus_set").startswith("Name of the stimulus set that was shown")
    assert "(channel*H + row)*W + col" in said("units", "unit_id")


def test_every_table_has_a_view_of_its_name(plain: duckdb.DuckDBPyConnection) -> None:
    views = {row[0] for row in plain.sql("SELECT view_name FROM duckdb_views()").fetchall()}
    assert {table["table"].removeprefix("results/") for table in TABLES.values()} <= views


PARTS = ("columns.json", "tables/runs.json", "templates/newest.sql", "parts/newest_runs.sql")
PARTS += ("views/units.sql", "macros/top_units.sql")


@pytest.mark.parametrize("name", PARTS)
def test_a_catalog_is_stale_once_a_definition_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    package = "definitions_" + Path(name).stem
    shutil.copytree(FOLDER, tmp_path / package)
    file = tmp_path / package / name
    file.write_text(file.read_text("utf-8") + "\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert importlib.import_module(package).fingerprint() != schemas.fingerprint()

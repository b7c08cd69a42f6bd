"""What a record says of an analysis is true of its runs, its tables and its views."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import MISSING
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support.planted import add_network, morph_rows, plant, prototype_rows, register_rows

from fexp_store import Warehouse, schemas
from fexp_store.analyses import ANALYSES, analysis
from fexp_store.analyses.analysis import SETS, On
from fexp_store.expressions import BASIC
from fexp_store.options import describe, make
from fexp_store.warehouse import runs, tables
from fexp_store.warehouse.place import Place

DOCS = Path(__file__).parents[2] / "docs"
PLACE = Place("net", "planted", "faces")
TRAINED = {"units": "all", "folds": 3}
OPTIONS: dict[str, dict[str, Any]] = {
    "select": {"alpha": 0.05},
    "tune": {},
    "decode": TRAINED | {"shuffles": 1},
    "confuse": TRAINED | {"test": "others", "resamples": 5},
    "categorize": TRAINED | {"morphs": "morphs", "resamples": 5},
    "compare": {"units": "all"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "select": {"alpha": 0.2, "correction": "fdr_bh", "permutations": 3, "seed": 2},
    "tune": {},
    "decode": {"units": "all", "folds": 4, "seed": 1, "kernel": "rbf", "shuffles": 0},
    "confuse": OPTIONS["confuse"] | {"C": 2.0, "components": 4, "resamples": 3},
    "categorize": OPTIONS["categorize"] | {"folds": 2, "selected_on": "others"},
    "compare": {"units": "all"},
}
"""Other options, with which a run is on the same thing."""
for later in ANALYSES.keys() - OPTIONS.keys():
    units = {"units": "all"} if hasattr(analysis(later).options, "units") else {}
    OPTIONS[later] = OTHERS[later] = units

OLDER_CLASSIFIER = {"components": 50, "kernel": "linear", "c": 1.0, "folds": 10, "seed": 0}
OLDER_TRAINED = OLDER_CLASSIFIER | {"units": "all", "selected_on": "faces", "selection_run": None}
OLDER_COMPARED = {"name": "faces", "networks": ["net:planted", "twin:planted"], "units": "all"}
OLDER: list[tuple[str, dict[str, Any]]] = [
    ("select", PLACE.columns | {"alpha": 0.01}),
    ("select", PLACE.columns | {"alpha": 0.01, "factor": "expression", "permutations": 0}),
    ("tune", PLACE.columns | {"selectivity_run": "1"}),
    ("decode", PLACE.columns | OLDER_TRAINED | {"shuffles": 100}),
    ("confuse", PLACE.columns | OLDER_TRAINED | {"test_set": "others", "resamples": 1000}),
    ("categorize", PLACE.columns | OLDER_TRAINED | {"morph_set": "morphs", "two_way": True}),
    ("compare", OLDER_COMPARED | {"stimulus_set": "faces", "two_way": True}),
]
"""Parameters that earlier versions, whose runs have no key, recorded of runs on the same thing."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Two networks, of which what each analysis needs is stored."""
    wh = Warehouse.create(tmp_path_factory.mktemp("planted") / "warehouse")
    people = [f"p{i}" for i in range(6)]
    register_rows(wh, "faces", prototype_rows(people))
    register_rows(wh, "others", prototype_rows([f"q{i}" for i in range(4)]))
    register_rows(wh, "morphs", morph_rows(people, [("anger", "fear")], np.linspace(0, 1, 5)))
    rng = np.random.default_rng(0)
    pattern = rng.normal(size=(6, 12))
    anger, fear = (pattern[BASIC.index(name)] for name in ("anger", "fear"))
    morph = anger + np.linspace(0, 1, 5)[:, None] * (fear - anger)
    for network in ("net", "twin"):
        add_network(wh, network, 12)
        for name, shown, n in (("faces", pattern, 6), ("others", pattern, 4), ("morphs", morph, 6)):
            values = np.tile(shown, (n, 1))
            plant(wh, network, name, values + rng.normal(0, 0.3, values.shape))
        place = PLACE._replace(network=network)
        for name in ("select", "decode"):
            run(wh, name, OPTIONS[name], place)
    return wh


@pytest.fixture
def wh(planted: Warehouse, tmp_path: Path) -> Warehouse:
    shutil.copytree(planted.location, tmp_path / "copy")
    return Warehouse(tmp_path / "copy")


def on(name: str, place: Place = PLACE) -> On:
    return [place, place._replace(network="twin")] if analysis(name).compares else place


def run(wh: Warehouse, name: str, options: dict[str, Any], place: Place = PLACE) -> str:
    """Run an analysis; return the run_id under which it is recorded."""
    analysis(name).run(wh, on(name, place), make(analysis(name).options, options))
    newest = "SELECT run_id FROM runs WHERE kind = $kind AND seconds IS NOT NULL ORDER BY started"
    return wh.frame(newest, kind=name)["run_id"][-1]


def run_ids(wh: Warehouse, view: str, *wanted: str) -> set[str]:
    """Return those of some runs that have rows in a view."""
    return set(wh.frame(f"SELECT DISTINCT run_id FROM {view}")["run_id"]) & set(wanted)


def newest_only(name: str) -> list[str]:
    """Return the tables of an analysis of which the view shows only the run that counts."""
    found = analysis(name).tables
    return [
        table
        for table in found
        if schemas.tables()[f"results/{table}"].view in ("newest", "selected")
    ]


@pytest.mark.parametrize("name", ANALYSES)
def test_every_table_is_stored_and_is_a_view(planted: Warehouse, name: str) -> None:
    views = planted.frame(
        "SELECT view_name FROM duckdb_views() "
        "WHERE database_name = 'catalog' AND schema_name = 'main'"
    )
    assert analysis(name).name == name
    assert set(analysis(name).compares) <= ANALYSES.keys() - {name}
    assert analysis(name).tables
    assert {f"results/{table}" for table in analysis(name).tables} <= schemas.tables().keys()
    assert set(analysis(name).tables) <= set(views["view_name"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ANALYSES)
def test_a_run_is_recorded_with_every_option_and_its_key(wh: Warehouse, name: str) -> None:
    for values in (OPTIONS[name], OTHERS[name]):
        run_id = run(wh, name, values)
        (row,) = wh.frame("FROM runs WHERE run_id = $run_id", run_id=run_id).to_dicts()
        parameters, key = json.loads(row["parameters"]), json.loads(row["key"])
        defaults = {o.name: o.default for o in describe(analysis(name).options)}
        given = {SETS.get(option, option): value for option, value in (defaults | values).items()}
        if given.get("selected_on", "") is None:
            given["selected_on"] = "faces"
        if "selection" in given:  # no units are selected
            given["selection"] = "none"
        assert {option: parameters[option] for option in given} == given
        assert set(analysis(name).same_if) <= parameters.keys()
        assert key == {option: parameters[option] for option in analysis(name).same_if}
        found = runs.newest(wh, name, key)
        assert found is not None
        assert (found.run_id, found.parameters) == (run_id, parameters)
        stored = [
            table for table in analysis(name).tables if run_ids(wh, f"stored.{table}", run_id)
        ]
        assert len(stored) == len(analysis(name).tables) - (name == "select")  # one of two factors


@pytest.mark.slow
@pytest.mark.parametrize("name", ANALYSES)
def test_the_newest_run_of_a_key_is_the_one_that_is_shown(wh: Warehouse, name: str) -> None:
    one = run(wh, name, OPTIONS[name])
    written = [table for table in newest_only(name) if run_ids(wh, table, one)]
    assert written
    other = run(wh, name, OTHERS[name])
    for table in written:
        assert run_ids(wh, table, one, other) == {other}
        assert run_ids(wh, f"stored.{table}", one, other) == {one, other}
    again = run(wh, name, OPTIONS[name])
    for table in written:
        assert run_ids(wh, table, one, other, again) == {again}
        assert run_ids(wh, f"stored.{table}", one, other, again) == {one, other, again}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), OLDER)
def test_runs_of_earlier_versions_count_for_the_same_thing(
    wh: Warehouse, name: str, parameters: dict[str, Any]
) -> None:
    assert {older for older, _ in OLDER} <= set(ANALYSES)
    before = run(wh, name, OPTIONS[name])
    written = [table for table in newest_only(name) if run_ids(wh, table, before)]
    older = record_older(wh, name, before, parameters)
    for table in written:
        assert run_ids(wh, table, before, older) == {older}
    after = run(wh, name, OPTIONS[name])
    for table in written:
        assert run_ids(wh, table, before, older, after) == {after}
        assert run_ids(wh, f"stored.{table}", older) == {older}


def record_older(
    wh: Warehouse, name: str, run_id: str, parameters: dict[str, Any], **columns: pl.Expr
) -> str:
    """Store the rows of a run once more, as an earlier version would have recorded them."""
    for table in analysis(name).tables:
        rows = tables.read(wh.storage, f"results/{table}").filter(run_id=run_id)
        if not rows.is_empty():
            fields = schemas.tables()[f"results/{table}"].arrow
            can_change = {field.name for field in fields if field.nullable}
            changed = {c: value for c, value in columns.items() if c in can_change}
            older = rows.with_columns(run_id=pl.lit("older"), **changed)
            tables.append(wh.storage, f"results/{table}", older)
    row = tables.read(wh.storage, "runs").filter(run_id=run_id).tail(1)
    as_then = row.with_columns(
        run_id=pl.lit("older"),
        key=pl.lit(None, pl.String),
        parameters=pl.lit(json.dumps(parameters, sort_keys=True)),
        started=pl.lit(datetime.now(UTC)),
        seconds=1.0,
    )
    tables.append(wh.storage, "runs", as_then)
    return "older"


def test_what_earlier_versions_selected_on_all_images_is_shown_as_circular(
    wh: Warehouse,
) -> None:
    now = run(wh, "decode", {"units": "selective", "folds": 3, "shuffles": 0, "alpha": 0.5})
    older = PLACE.columns | OLDER_TRAINED | {"units": "selective", "shuffles": 100}
    circular = record_older(wh, "decode", now, older, selection=pl.lit(None, pl.String))
    for view in ("decoding", "predictions"):
        shown = wh.frame(f"SELECT DISTINCT run_id, selection FROM {view} WHERE units <> 'all'")
        assert dict(shown.rows()) == {now: "nested", circular: "circular"}
    columns = "stimulus_set, train_set, count(*)"
    seen = wh.frame(f"SELECT {columns} FROM predictions WHERE run_id = 'older' GROUP BY ALL")
    assert seen.rows() == [("faces", "faces", 36)]


def test_runs_on_other_things_do_not_replace_one_another(wh: Warehouse) -> None:
    twin = run(wh, "decode", OPTIONS["decode"], PLACE._replace(network="twin"))
    both = {
        unit: run(wh, "decode", OPTIONS["decode"] | {"units": unit}) for unit in ("all", "random")
    }
    assert run_ids(wh, "decoding", twin, *both.values()) == {twin, *both.values()}
    factors = [run(wh, "select", {"factor": factor}) for factor in ("expression", "identity")]
    views = ("selectivity", "identity_selectivity")
    assert [run_ids(wh, view, *factors) for view in views] == [{run_id} for run_id in factors]


@pytest.mark.slow
@pytest.mark.parametrize("name", ANALYSES)
def test_importing_an_analysis_imports_nothing_that_takes_long(name: str) -> None:
    heavy = ("sklearn", "torch", "scipy.optimize", "scipy.stats")
    code = f"import sys, fexp_store.analyses, {ANALYSES[name]}\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("name", ANALYSES)
def test_every_option_and_key_stands_on_the_page(name: str) -> None:
    page = (DOCS / "analyses.md").read_text("utf-8")
    shown = runpy.run_path(str(DOCS / "hooks.py"))["on_page_markdown"](page)
    (section,) = re.findall(rf"^## .*`fexp {name}`\n(.*?)^## ", shown, re.DOTALL | re.MULTILINE)
    for option in describe(analysis(name).options):
        flag = "--" + option.name.replace("_", "-")
        (line,) = re.findall(rf"^\| `{flag}` \|.*$", section, re.MULTILINE)
        assert option.help in line
        assert option.default in (MISSING, None) or f"| `{json.dumps(option.default)}` |" in line
    (keys,) = re.findall(rf"^\| `{name}` \| (.*) \|$", shown, re.MULTILINE)
    assert keys.split(", ") == [f"`{parameter}`" for parameter in analysis(name).same_if]

"""The command line: exit codes, one sentence for each error, and data apart from messages."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from support.commands import commands
from support.writing import Fexp, state, write_photographs

from fexp_store import Warehouse


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_with_an_example(command: str) -> None:
    text = commands()[command]
    assert text is not None
    assert "Example" in text
    assert f" {command}" in text.split("Example")[1]


def test_a_session_from_an_empty_directory_to_selective_units(
    fexp: Fexp, photographs: Path, tmp_path: Path
) -> None:
    steps = [
        ("init",),
        ("stimuli", "add", "set1", photographs),
        ("networks", "add", "net", "--architecture", "dlib_face", "--untrained"),
        ("ingest", "--network", "net", "--layer", "conv4_3", "--stimuli", "set1"),
    ]
    for step in steps:
        done = fexp(*step)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    selected = fexp("select", "-n", "net", "-l", "conv4_3", "-s", "set1", "-f", "json")
    (row,) = json.loads(selected.stdout)
    assert (row["units"], row["layer"]) == (8192, "conv4_3")
    query = "SELECT count(*) AS n FROM selectivity WHERE selective"
    assert json.loads(fexp("sql", query, "-f", "json").stdout) == [{"n": row["selective"]}]
    log = json.loads(fexp("log", "-f", "json").stdout)
    assert [run["kind"] for run in log] == ["select", "ingest"]
    again = fexp(*steps[-1])
    assert again.returncode == 0
    assert "no forward pass was run and nothing was written" in again.stderr


def test_formats_hold_the_same_result(fexp: Fexp, ready: Warehouse) -> None:
    query = "SELECT stimulus_id, identity, attributes, NULL AS nothing FROM stimuli"
    texts = {f: fexp("-w", ready.location, "sql", query, "-f", f).stdout for f in ("csv", "json")}
    from_json = json.loads(texts["json"])
    from_csv = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [r["identity"] for r in from_json] == [r["identity"] for r in from_csv]
    assert [r["stimulus_id"] for r in from_json] == list(range(24))
    table = fexp("-w", ready.location, "sql", query).stdout
    assert all(f" {who} " in table for who in ("p0", "p3"))


@pytest.mark.slow
def test_parquet_goes_to_standard_output(fexp: Fexp, ready: Warehouse, tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [
        sys.executable,
        "-m",
        "fexp_store.cli",
        "-w",
        ready.location,
        "sql",
        "FROM stimuli",
        "-f",
        "parquet",
    ]
    content = subprocess.run(command, capture_output=True, check=True).stdout
    assert pl.read_parquet(io.BytesIO(content)).height == 24


BAD_INPUT = {
    "a missing image": (
        ("stimuli", "add", "bad", "missing.csv"),
        "The image {here}/nowhere.png does not exist.",
    ),
    "a truncated JPEG": (
        ("stimuli", "add", "bad", "truncated.csv"),
        "{here}/truncated.jpg is no image that can be decoded",
    ),
    "an empty image": (("stimuli", "add", "bad", "empty.csv"), "{here}/empty.png is empty."),
    "a manifest that is not there": (
        ("stimuli", "add", "bad", "none.csv"),
        "The manifest none.csv does not exist.",
    ),
    "a manifest that is none": (
        ("stimuli", "add", "bad", "truncated.jpg"),
        "The manifest truncated.jpg",
    ),
    "an unknown expression": (
        ("stimuli", "add", "bad", "expression.csv"),
        "'envy' is not an expression that is known here: use one of anger, disgust, fear,",
    ),
    "a manifest that leaves its directory": (
        ("stimuli", "add", "bad", "outside.csv"),
        "leaves the manifest's own directory",
    ),
    "a set name with a slash": (
        ("stimuli", "add", "a/b", "good.csv"),
        "'a/b' cannot name a stimulus set",
    ),
    "a set name with two dots": (
        ("stimuli", "add", "..", "good.csv"),
        "'..' cannot name a stimulus set",
    ),
    "an unknown network": (
        ("ingest", "-n", "nobody", "-l", "conv1", "-s", "set1"),
        "There is no network 'nobody'; registered: dlib.",
    ),
    "an unknown layer": (
        ("ingest", "-n", "dlib", "-l", "conv9", "-s", "set1"),
        "dlib has no layer 'conv9'; its layers: conv1:pre, conv1, ",
    ),
    "an unknown set": (
        ("ingest", "-n", "dlib", "-l", "conv1", "-s", "set9"),
        "There is no stimulus set 'set9'; registered: set1.",
    ),
    "an unknown architecture": (
        ("networks", "add", "new", "--architecture", "alexnet"),
        "There is no architecture 'alexnet'; known: dlib_face, vgg_face",
    ),
    "a weights file that is none": (
        ("networks", "add", "new", "--architecture", "dlib_face", "--weights", "truncated.jpg"),
        "truncated.jpg",
    ),
    "weights and untrained": (
        ("networks", "add", "n", "--architecture", "dlib_face", "--untrained", "--weights", "x"),
        "untrained or has a weights file, not both",
    ),
    "a write in SQL": (("sql", "DROP TABLE stored.runs"), "open for reading only"),
    "a mistake in SQL": (("sql", "SELEC 1"), "DuckDB refuses the query"),
}


@pytest.fixture
def bad_files(tmp_path: Path) -> Path:
    """Files that cannot be used, each with a manifest that lists it."""
    picture = Image.new("RGB", (64, 64), "red")
    picture.save(tmp_path / "good.png")
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "jpeg")
    (tmp_path / "truncated.jpg").write_bytes(buffer.getvalue()[:600])
    (tmp_path / "empty.png").touch()
    for name, path, expression in (
        ("good", "good.png", "fear"),
        ("missing", "nowhere.png", "fear"),
        ("truncated", "truncated.jpg", "fear"),
        ("empty", "empty.png", "fear"),
        ("expression", "good.png", "envy"),
        ("outside", "../good.png", "fear"),
    ):
        (tmp_path / f"{name}.csv").write_text(
            f"path,identity,expression\ngood.png,x,anger\n{path},y,{expression}\n"
        )
    return tmp_path


@pytest.mark.parametrize(("arguments", "words"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_sentence_and_changes_nothing(
    fexp: Fexp, ready: Warehouse, bad_files: Path, arguments: tuple[str, ...], words: str
) -> None:
    before = state(ready)
    done = fexp("-w", ready.location, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert words.format(here=bad_files) in done.stderr
    assert "Traceback" not in done.stderr
    assert state(ready) == before


def test_a_double_cell_is_named_when_it_is_analysed(fexp: Fexp, ready: Warehouse) -> None:
    root = Path(ready.location).parent / "double"
    manifest = write_photographs(root, 2)
    manifest.write_text(manifest.read_text() + "0_fear.png,p0,anger\n")
    for step in (
        ("stimuli", "add", "double", manifest),
        ("ingest", "-n", "dlib", "-l", "embedding", "-s", "double"),
    ):
        assert fexp("-w", ready.location, *step).returncode == 0
    before = state(ready)
    done = fexp("-w", ready.location, "select", "-n", "dlib", "-l", "embedding", "-s", "double")
    assert (done.returncode, done.stdout) == (1, "")
    assert "anger of p0 (2 images)" in done.stderr
    assert state(ready) == before


def test_no_warehouse_and_a_newer_one_are_said_to_be_so(fexp: Fexp, ready: Warehouse) -> None:
    done = fexp("-w", "nowhere", "log")
    assert done.returncode == 1
    assert "is no warehouse; make one with: fexp -w nowhere init" in done.stderr
    marker = Path(ready.location) / "warehouse.json"
    marker.write_text('{"format_version": 99, "warehouse_id": "x"}')
    done = fexp("-w", ready.location, "log")
    assert done.returncode == 1
    assert "install a newer fexp-store" in done.stderr


def test_wrong_use_is_exit_code_2(fexp: Fexp) -> None:
    assert fexp("ingest").returncode == 2
    assert fexp("nonsense").returncode == 2
    assert fexp("--version").stdout == "0.1.0\n"


def test_debug_shows_where_an_error_came_from(fexp: Fexp, tmp_path: Path) -> None:
    done = fexp("--debug", "-w", tmp_path / "nowhere", "log")
    assert done.returncode == 1
    assert "Traceback" in done.stderr

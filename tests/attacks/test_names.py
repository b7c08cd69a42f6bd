"""Names that are stored in tables and in folders, and were never typed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from support.victim import Victim

from fexp_store import Warehouse
from fexp_store.warehouse import tables

NAMES = {
    "a title": "\x1b]0;owned\x07",
    "colours": "\x1b[31mred",
    "a second sentence": "net\nError: all is lost",
    "from right to left": "net\u202e",
    "a zero byte": "a\0b",
    "above": "../../outside",
    "absolute": "/etc",
    "a statement": "x'); COPY (SELECT 1) TO 'pwned.csv'; --",
    "an identifier": "x\" AS SELECT 1; COPY (SELECT 1) TO 'pwned.csv'; --",
    "a pattern": "**",
    "nothing": "",
    "very long": "n" * 5000,
    "markup": "[/red][link=file:///etc/passwd]x",
    "an option": "--help",
    "a partition": "net/layer=planted",
    "percent": "%2e%2e%2f",
    "a format": "{0.__class__}{name!r:>99999999}%s%n",
}


def add_rows(path: Path, table: str, *changes: dict[str, str]) -> None:
    """Add the first row of a table once more for each change of it."""
    storage = Warehouse(path).storage
    row = tables.read(storage, table).head(1)
    changed = [row.with_columns(**{c: pl.lit(text) for c, text in x.items()}) for x in changes]
    tables.append(storage, table, pl.concat(changed))


TYPED = [name for name in NAMES.values() if name and "\0" not in name and not name.startswith("-")]


def test_networks_of_any_name_are_harmless(victim: Victim) -> None:
    add_rows(victim.path, "networks", *({"network": name} for name in NAMES.values()))
    listed = victim("networks", "list", "-f", "json")
    assert {row["network"] for row in json.loads(listed.stdout)} == {"net", *NAMES.values()}
    assert victim("networks", "list").code == 0
    assert victim("networks", "show", "nobody").code == 1
    for name in TYPED:
        victim("ingest", "-n", name, "-l", "planted", "-s", "set1")
    assert victim.numbers_are_true_or_refused().code == 0


def test_sets_of_any_name_are_harmless(victim: Victim) -> None:
    add_rows(victim.path, "stimuli", *({"stimulus_set": name} for name in NAMES.values()))
    listed = victim("stimuli", "list", "-f", "json")
    assert {row["stimulus_set"] for row in json.loads(listed.stdout)} == {"set1", *NAMES.values()}
    assert victim("stimuli", "list").code == 0
    for name in TYPED:
        victim("stimuli", "prepare", name, "new")
    assert victim.numbers_are_true_or_refused().code == 0


TEXTS = {
    "nothing": "",
    "half": "{",
    "deep": "[" * 100_000,
    "incomplete": '[{"name": "planted"}]',
    "shapes below zero": '[{"name": "planted", "shape": [-5, -5]}]',
    "more units than atoms": f'[{{"name": "planted", "shape": [{10**30}, {10**30}]}}]',
    "null": "null",
    "a path": "file:../../outside/secret.txt",
    "a control": "\x1b[2J",
}


@pytest.mark.parametrize("column", ["layers", "preprocessing", "weights_source", "architecture"])
def test_what_is_stored_of_a_network_may_be_anything(victim: Victim, column: str) -> None:
    known = {"architecture": "dlib_face", "weights_source": "untrained:kaiming_normal"}
    changes = [known | {"network": f"n{i}", column: x} for i, x in enumerate(TEXTS.values())]
    add_rows(victim.path, "networks", *changes)
    for change in changes:
        victim("ingest", "-n", change["network"], "-l", "planted", "-s", "set1")
    victim("networks", "layers", "n0")
    assert victim.numbers_are_true_or_refused().code == 0


@pytest.mark.parametrize("column", ["file", "image_sha256", "recipe"])
def test_what_is_stored_of_a_set_may_be_anything(victim: Victim, column: str) -> None:
    (victim.path / ".local").mkdir(exist_ok=True)
    paths = ["../outside/secret.txt", str(victim.outside / "secret.txt"), "/dev/zero", "**"]
    texts = [*TEXTS.values(), *paths]
    changes = [{"stimulus_set": f"s{i}", column: text} for i, text in enumerate(texts)]
    add_rows(victim.path, "stimuli", *changes)
    roots = {change["stimulus_set"]: str(victim.outside.parent / "work") for change in changes}
    (victim.path / ".local" / "image_roots.json").write_text(json.dumps(roots))
    for change in changes:
        name = change["stimulus_set"]
        victim("stimuli", "prepare", *(("set1", name) if column == "recipe" else (name, "new")))
    assert victim.numbers_are_true_or_refused().code == 0


SAVED = {
    "a statement": "x\" AS SELECT 1; COPY (SELECT 1) TO 'pwned.csv'; --",
    "a quote": "x'y",
    "two quotes": 'x""y',
    "a line": "x\ny",
    "a control": "x\x1b]0;owned\x07",
    "a view of ours": "activations",
    "a schema": "stored.runs",
    "capitals": "Mine",
    "a pattern": "*",
    "a partition": "run_id=1",
}


@pytest.mark.parametrize("name", SAVED.values(), ids=SAVED)
def test_a_folder_of_saved_results_of_any_name_is_harmless(victim: Victim, name: str) -> None:
    saved = victim.path / "results" / "saved"
    (saved / "mine").rename(saved / name)
    victim("vacuum", "--older-than", "0")
    assert victim.numbers_are_true_or_refused().code == 0

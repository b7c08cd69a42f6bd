"""Names that are stored in tables and in folders, and were never typed."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from conftest import Victim

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


def rename(path: Path, table: str, column: str, name: str) -> None:
    """Add the rows of a table once more, with another name in a column."""
    storage = Warehouse(path).storage
    rows = tables.read(storage, table)
    tables.append(storage, table, rows.with_columns(pl.lit(name).alias(column)))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_network_of_any_name_is_harmless(victim: Victim, name: str) -> None:
    rename(victim.path, "networks", "network", name)
    victim("networks", "list")
    victim("networks", "show", "nobody")
    if name and "\0" not in name and not name.startswith("-"):
        victim("ingest", "-n", name, "-l", "planted", "-s", "set1")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_set_of_any_name_is_harmless(victim: Victim, name: str) -> None:
    rename(victim.path, "stimuli", "stimulus_set", name)
    victim("stimuli", "list")
    if name and "\0" not in name and not name.startswith("-"):
        victim("stimuli", "prepare", name, "new")


@pytest.mark.parametrize("column", ["layers", "preprocessing", "weights_source", "architecture"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '[{"name": "planted"}]',
        "null",
        "file:../../outside/secret.txt",
        "\x1b[2J",
    ],
    ids=["nothing", "half", "deep", "incomplete", "null", "a path", "a control"],
)
def test_what_is_stored_of_a_network_may_be_anything(
    victim: Victim, column: str, text: str
) -> None:
    rename_whole(victim.path, column, text)
    victim("networks", "layers", "other")
    victim("ingest", "-n", "other", "-l", "planted", "-s", "set1")


def rename_whole(path: Path, column: str, text: str) -> None:
    storage = Warehouse(path).storage
    rows = tables.read(storage, "networks").with_columns(
        pl.lit("other").alias("network"), pl.lit(text).alias(column)
    )
    tables.append(storage, "networks", rows)


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

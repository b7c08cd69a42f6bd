"""A warehouse may be in a directory of any name, or is refused there in one sentence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from polars.testing import assert_frame_equal
from support.bare import bare
from support.small import UNTRAINED
from support.writing import Fexp, write_photographs

from fexp_store import BadInput, Warehouse
from fexp_store.analyses.selectivity.select import Options, select
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.scans import literal, quote

NAMES = [
    "a space",
    "ü é 顔 😀",
    "h#sh",
    "100%",
    "wh?",
    "s*r **",
    "network=evil",
    "{a,b}",
    "'quoted' \"twice\"",
    "com,ma;",
    "~$HOME&(x)!`id`",
    "-w",
    "café",  # the accent apart from its letter
]
REFUSED = [
    "[x]",
    "x]",
    "a%20b",
    "a%2Fb",
    "back\\slash",
    "new\nline",
    "tab\t",
    "\x1b[31m",
    "a|b",
    "a^b",
    "\x7f",
]
SUMS = (
    "SELECT layer, count(*), sum(activation::DECIMAL(18, 6)) FROM activations"
    " GROUP BY ALL ORDER BY ALL"
)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_read_whatever_the_directory_is_called(
    ingested: Warehouse, tmp_path: Path, name: str
) -> None:
    root = tmp_path / name
    shutil.copytree(ingested.location, root)
    wh = Warehouse(root)
    assert_frame_equal(wh.frame(SUMS), ingested.frame(SUMS))
    assert add_manifest(wh, "set2", write_photographs(tmp_path / "photographs", 1))
    assert wh.frame("FROM stimuli WHERE stimulus_set = 'set2'").height == 6
    rows = wh.activations(layer="embedding").sort("stimulus_id", "unit_id").collect()
    values = ingested.matrix("dlib", "embedding", "set1").values
    assert np.array_equal(rows["activation"].to_numpy().reshape(48, 128), values)
    assert np.array_equal(wh.matrix("dlib", "embedding", "set1").values, values)
    assert (root / "catalog.duckdb").exists()
    with bare(root, "inside") as client:
        assert client.execute(SUMS).fetchall() == ingested.frame(SUMS).rows()
        client.execute(f"SET VARIABLE fexp_root = {quote(literal(str(root)))}")
        os.chdir("/")
        assert client.execute(SUMS).fetchall() == ingested.frame(SUMS).rows()


@pytest.mark.slow
def test_everything_works_in_a_directory_of_all_these_names(tmp_path: Path) -> None:
    wh = Warehouse.create(tmp_path / " ".join(NAMES[:6]) / " ".join(NAMES[6:]))
    add_manifest(wh, "set1", write_photographs(tmp_path / "photographs", 4))
    registry.add(wh, "dlib", UNTRAINED)
    ingest(wh, "dlib", ["embedding"], "set1")
    select(wh, Place("dlib", "embedding", "set1"), Options())
    assert Warehouse(wh.location).frame("FROM selectivity").height == 128


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_delta_lake_cannot_open_is_refused(
    empty: Warehouse, tmp_path: Path, name: str
) -> None:
    for place in (tmp_path / name, tmp_path / name / "warehouse"):
        with pytest.raises(BadInput, match="cannot be a warehouse") as refused:
            Warehouse.create(place)
        assert str(refused.value).isprintable()
    assert not (tmp_path / name).exists()
    moved = Path(empty.location).rename(tmp_path / name)
    with pytest.raises(BadInput, match="cannot be a warehouse"):
        Warehouse(moved)


URLS = ["s3://lab/wh", "https://example.org/wh", "file:///tmp/wh", "gs://x"]
COMMANDS = {
    "init": [],
    "index": [],
    "log": [],
    "vacuum": [],
    "demo": [],
    "sql": ["SELECT 1"],
    "stimuli": ["list"],
    "networks": ["list"],
    "ingest": ["--network", "n", "--layer", "l", "--stimuli", "s"],
    "select": ["--network", "n", "--layer", "l", "--stimuli", "s"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_url_is_no_directory(fexp: Fexp, tmp_path: Path, command: str) -> None:
    for url in URLS if command == "init" else URLS[:1]:
        done = fexp("-w", url, command, *COMMANDS[command])
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "is a URL" in done.stderr
        assert list(tmp_path.iterdir()) == []

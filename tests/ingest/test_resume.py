"""Interruptions, explanations and clean-up around an ingest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.writing import Fexp, state, write_photographs

from fexp_store import BadInput, FexpError, Warehouse
from fexp_store.ingest import Options, ingest, prepare
from fexp_store.ingest.explain import explain
from fexp_store.ingest.preflight import Preflight, check_disk, preflight
from fexp_store.networks import registry
from fexp_store.networks.records import Options as Network
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.vacuum import Found, find, vacuum


@pytest.mark.slow
def test_ctrl_c_ends_an_ingest_cleanly_and_the_next_goes_on(
    empty: Warehouse, tmp_path: Path, fexp: Fexp
) -> None:
    add_manifest(empty, "set1", write_photographs(tmp_path / "photographs", 20))
    registry.add(empty, "dlib", Network(architecture="dlib_face", untrained=True))
    arguments = ["-w", empty.location, "ingest", "-n", "dlib", "-l", "conv1", "-s", "set1"]
    code = (
        "import sys; from fexp_store.cli import app\n"
        "from fexp_store.warehouse.activations import grid\n"
        "grid.FRAGMENT_BYTES = 8 << 20; app(sys.argv[1:])"  # cells of 12 stimuli
    )
    command = [sys.executable, "-c", code, *arguments, "--memory", "8", "--batch-size", "8"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((Path(empty.location) / "activations").rglob("*.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, words = child.communicate(timeout=60)
    assert child.returncode == 130, words
    assert "run the same command to go on" in words
    assert "Traceback" not in words
    assert find(empty.storage, 0).orphans == []
    stored = empty.frame("SELECT count(DISTINCT stimulus_id) FROM activations").item()
    assert 0 < stored < 120
    done = fexp(*arguments, "--batch-size", "1")
    assert f"Ran {120 - stored} stimuli" in done.stderr
    assert empty.frame("SELECT count(*) FROM activations").item() == 120 * 165_888


def test_a_dry_run_writes_nothing_and_its_raw_bytes_are_exact(ready: Warehouse, fexp: Fexp) -> None:
    before = state(ready)
    arguments = ("ingest", "-n", "dlib", "-l", "conv4_3", "-l", "embedding", "-s", "set1")
    done = fexp("-w", ready.location, *arguments, "--dry-run", "-f", "json")
    said = {row["what"]: row["value"] for row in json.loads(done.stdout)}
    assert state(ready) == before
    ingest(ready, "dlib", ["conv4_3", "embedding"], "set1")
    stored = ready.frame("SELECT sum(rows * 4)::BIGINT AS raw, count(*) AS n FROM fragments")
    assert (said["raw_bytes"], said["fragments"]) == stored.row(0)
    assert said["stimuli"] == 24


def test_the_expected_size_follows_what_is_stored_of_the_layer(
    ready: Warehouse, photographs: Path
) -> None:
    ingest(ready, "dlib", ["conv4_3"], "set1")
    add_manifest(ready, "again", photographs)
    found = preflight(ready, prepare(ready, "dlib", ["conv4_3"], "again", Options()))
    on_disk = ready.frame("SELECT sum(bytes)::BIGINT FROM fragments").item()
    assert found.disk_bytes == pytest.approx(on_disk, rel=1e-6)
    assert found.raw_bytes == 24 * 8192 * 4


def test_an_ingest_that_the_disk_cannot_hold_is_refused(ready: Warehouse) -> None:
    with pytest.raises(FexpError, match=r"has 1\.00 GB free and this needs about 2\.00 GB"):
        check_disk(ready, Preflight(1, 1, 0, 1_500_000_000, 0, 500_000_000, 1_000_000_000))


def reasons(wh: Warehouse, network: str, stimulus_set: str) -> list[tuple[str, str]]:
    prepared = prepare(wh, network, ["conv4_3"], stimulus_set, Options())
    return explain(wh, prepared).select("outcome", "why").rows()


def test_what_is_stored_is_a_hit(ready: Warehouse) -> None:
    assert reasons(ready, "dlib", "set1") == [("miss", "nothing of a layer conv4_3 is stored")]
    ingest(ready, "dlib", ["conv4_3"], "set1")
    ((outcome, why),) = reasons(ready, "dlib", "set1")
    assert outcome == "hit"
    identity = ready.frame("SELECT fragment_id FROM fragments").item()
    assert why == f"fragment {identity[:12]} is stored"


@pytest.mark.parametrize("change", ["weight", "mean", "size", "pixel"])
def test_a_change_of_any_input_is_a_miss_that_is_named(
    ready: Warehouse, photographs: Path, tmp_path: Path, change: str
) -> None:
    ingest(ready, "dlib", ["conv4_3"], "set1")
    network, stimulus_set = "changed", "set1"
    if change == "pixel":
        network, stimulus_set = "dlib", "changed"
        copy = tmp_path / "copy"
        shutil.copytree(photographs.parent, copy)
        pixels = np.asarray(Image.open(copy / "1_fear.png")).copy()
        pixels[3, 4, 0] ^= 1
        Image.fromarray(pixels).save(copy / "1_fear.png")
        add_manifest(ready, "changed", copy / "manifest.csv")
    else:
        fields = {"weight": {}, "mean": {"mean": [0, 0, 0]}, "size": {"size": 160}}[change]
        seed = 4 if change == "weight" else 3
        how = Network(architecture="dlib_face", untrained=True, seed=seed, preprocessing=fields)
        registry.add(ready, "changed", how)
    ((outcome, why),) = reasons(ready, network, stimulus_set)
    assert outcome == "miss"
    assert why.startswith("nearest is dlib for set1 0-24, with other ")
    named = {
        "weight": "weights_sha256",
        "mean": "preprocessing.mean ([0, 0, 0] here, [122.782, 117.001, 104.298] there)",
        "size": "preprocessing.resize (160 here, 150 there); preprocessing.size (160 here",
        "pixel": "images (1 of 24: stimulus 8)",
    }
    assert why.split("with other ")[1].startswith(named[change])
    assert ingest(ready, network, ["conv4_3"], stimulus_set).stimuli == 24


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"median": 3}, "no field 'median'; its fields: size, resize, mean"),
        ({"size": 0}, "whole pixels"),
        ({"size": 1.5}, "whole pixels"),
        ({"std": [1, 1, 0]}, "std above 0"),
        ({"mean": [1, 2]}, "three numbers"),
        ({"mean": 3}, "cannot be used"),
        ({"interpolation": "cubic"}, "bilinear, bicubic, lanczos"),
    ],
)
def test_preprocessing_that_cannot_be_is_refused(
    ready: Warehouse, fields: dict[str, object], words: str
) -> None:
    before = state(ready)
    how = Network(architecture="dlib_face", untrained=True, preprocessing=fields)
    with pytest.raises(BadInput, match=words):
        registry.add(ready, "new", how)
    assert state(ready) == before


def test_vacuum_deletes_old_orphans_and_only_those(ready: Warehouse) -> None:
    ingest(ready, "dlib", ["conv4_3", "conv4_3:pre"], "set1")
    expected = ready.frame("SELECT layer, sum(activation) FROM activations GROUP BY ALL ORDER BY 1")
    committed = sorted((Path(ready.location) / "activations").rglob("*.parquet"))
    orphan = committed[0].with_name("part-orphan.parquet")
    young = committed[1].with_name("part-young.parquet")
    temporary = Path(ready.location) / ".catalog.duckdb.123.partial"
    for path in (orphan, young, temporary):
        path.write_bytes(b"left behind")
    day_ago = time.time() - 25 * 3600
    for path in (orphan, temporary, *committed):
        os.utime(path, (day_ago, day_ago))
    old = {str(path.relative_to(ready.location)) for path in (orphan, temporary)}
    assert {o.path for o in find(ready.storage).orphans} == old
    assert {o.path for o in vacuum(ready.storage).orphans} == old
    assert young.exists()
    assert sorted((Path(ready.location) / "activations").rglob("*.parquet")) == sorted(
        [*committed, young]
    )
    again = Warehouse(ready.location)
    assert again.frame(
        "SELECT layer, sum(activation) FROM activations GROUP BY ALL ORDER BY 1"
    ).equals(expected)
    assert vacuum(ready.storage) == Found([], {})

"""`vacuum` beside those who write, with a clock that is wrong: no commit loses a file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable
from numpy.typing import NDArray
from support.writing import write_photographs

from benchmarks.kills import CELL_BYTES, LAYERS, allow_small_network
from fexp_store import Conflict, Warehouse
from fexp_store.analyses.expressions.humans import add_responses
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.architectures import ARCHITECTURES
from fexp_store.networks.records import Options
from fexp_store.stimuli.photographs.add import add_photographs
from fexp_store.stimuli.recipe import Listing
from fexp_store.warehouse import saved
from fexp_store.warehouse.activations import grid
from fexp_store.warehouse.vacuum import vacuum
from fexp_store.warehouse.verify.verify import verify

AHEAD = 30 * 3600
ROUNDS = 4
RESPONSES = "depicted,anger,fear\nanger,{},1\nfear,1,3\n"


def imported(number: int) -> NDArray[np.float32]:
    return np.random.default_rng(number).normal(size=(18, 500)).astype(np.float32)


def ingests(wh: Warehouse) -> None:
    allow_small_network()
    grid.FRAGMENT_BYTES = CELL_BYTES // 4  # of 3 stimuli and more
    for seed in range(ROUNDS):
        registry.add(wh, f"small{seed}", Options(architecture="small", untrained=True, seed=seed))
        ingest(wh, f"small{seed}", list(LAYERS), "set1")


def imports(wh: Warehouse) -> None:
    for number in range(ROUNDS):
        wh.put(f"imported{number}", "top", "set1", imported(number))


def saves(wh: Warehouse) -> None:
    for number in range(ROUNDS):
        saved.save(wh, f"saved{number}", f"SELECT {number} AS x, i FROM range(1000) t(i)", {})


def adds(wh: Warehouse) -> None:
    file = Path(f"{wh.location}.csv")
    for number in range(3 * ROUNDS):
        file.write_text(RESPONSES.format(number))
        add_responses(wh, file, study=f"study{number}")


def write(root: str, work: Callable[[Warehouse], None], ready: Any, ends: Any) -> None:
    wh = Warehouse(root, threads=1)
    ready.wait(60)
    work(wh)
    ends.value += 1


def vacuum_on_and_on(root: str, ready: Any, stop: Event, times: Synchronized[int]) -> None:
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + AHEAD
    time.time_ns = lambda: now_ns() + AHEAD * 1_000_000_000
    storage = Warehouse(root).storage
    ready.wait(60)
    while not stop.is_set():
        with suppress(Conflict):
            vacuum(storage, 0)
            times.value += 1
        time.sleep(0.1)


@pytest.mark.slow
def test_no_commit_loses_a_file_though_the_clock_is_30_hours_ahead(
    empty: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_photographs(tmp_path / "photographs", 3, side=32)
    add_photographs(empty, "set1", manifest, Listing(copy=True))
    shutil.copytree(empty.location, tmp_path / "undisturbed")
    monkeypatch.setattr(grid, "FRAGMENT_BYTES", grid.FRAGMENT_BYTES)  # changed below
    monkeypatch.setitem(ARCHITECTURES, "small", None)
    undisturbed = Warehouse(tmp_path / "undisturbed")
    ingests(undisturbed)
    others = Path(empty.location, "activations", "part-00000-being-written.parquet")
    ours = others.with_name(f"part-{'0' * 32}.parquet")
    for file in (others, ours):
        file.touch()
    before = commits(empty)
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.kills", "fexp_store.warehouse.exchange.put"])
    works = (ingests, imports, saves, adds)
    ready, stop = context.Barrier(len(works) + 1), context.Event()
    ends, times = context.Value("i", 0), context.Value("i", 0)
    writers = [
        context.Process(target=write, args=(empty.location, work, ready, ends)) for work in works
    ]
    vacuums = context.Process(
        target=vacuum_on_and_on, args=(empty.location, ready, stop, times), daemon=True
    )
    for process in (*writers, vacuums):
        process.start()
    for process in writers:
        process.join()
    while_writing = times.value
    stop.set()
    vacuums.join()
    assert [process.exitcode for process in (*writers, vacuums)] == [0] * 5
    assert commits(empty) - before >= 50
    assert while_writing >= 5
    assert (others.exists(), ours.exists()) == (True, False)
    for folder in Path(empty.location).rglob("_delta_log"):
        assert all(Path(uri).exists() for uri in DeltaTable(folder.parent).file_uris()), folder
    compare(Warehouse(empty.location), undisturbed)


def commits(wh: Warehouse) -> int:
    return len(list(Path(wh.location).rglob("_delta_log/*.json")))


def compare(wh: Warehouse, undisturbed: Warehouse) -> None:
    assert verify(wh.storage).faults == []
    for number in range(ROUNDS):
        assert np.array_equal(
            wh.matrix(f"imported{number}", "top", "set1").values, imported(number)
        )
        rows = wh.query(f"SELECT count(*), sum(i), max(x) FROM saved.saved{number}").rows()
        assert rows == [(1000, 499_500, number)]
        for layer, shape in LAYERS.items():
            place = (f"small{number}", layer, "set1")
            expected = undisturbed.matrix(*place).values
            assert expected.shape == (18, np.prod(shape))
            assert np.array_equal(wh.matrix(*place).values, expected)
    ours = "SELECT count(DISTINCT study) FROM responses WHERE study LIKE 'study%'"
    studies = wh.query(ours).rows()
    assert studies == [(3 * ROUNDS,)]

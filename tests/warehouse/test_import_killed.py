"""An import that is killed leaves nothing that can be seen, and several at once store one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.planted import prototype_rows, register_rows

from fexp_store import Warehouse

pytestmark = pytest.mark.slow

N, UNITS, FILES = 24, 40_000, 6
KILLS = 8
# Small fragments, so that a kill falls between files as well as within one.
CODE = f"""
import sys, time, numpy
from fexp_store import BadInput, FexpError, Warehouse
from fexp_store.warehouse.activations import grid
grid.FRAGMENT_BYTES = {4 * UNITS * N // FILES}
wh = Warehouse(sys.argv[1])
print('ready', flush=True)
sys.stdin.readline()
began = time.monotonic()
print(wh.put(sys.argv[3], 'top', 'faces', sys.argv[2]).fragments, time.monotonic() - began)
"""


@pytest.fixture
def wh(empty: Warehouse) -> Warehouse:
    register_rows(empty, "faces", prototype_rows(["anna", "ben", "carl", "dora"]))
    return empty


@pytest.fixture
def values() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(N, UNITS)).astype(np.float32)


@pytest.fixture
def file(values: NDArray[np.float32], tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", values)
    return tmp_path / "x.npy"


def start(wh: Warehouse, file: Path, network: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CODE, wh.location, str(file), network]
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def seen(wh: Warehouse, network: str) -> dict[str, int]:
    return {
        view: wh.frame(f"SELECT count(*) FROM {view} WHERE network = $n", n=network).item()
        for view in ("networks", "units", "fragments", "activations")
    }


NOTHING = {"networks": 0, "units": 0, "fragments": 0, "activations": 0}
ALL = {"networks": 1, "units": UNITS, "fragments": FILES, "activations": N * UNITS}


def test_a_killed_import_is_there_whole_or_not_at_all(
    wh: Warehouse, values: NDArray[np.float32], file: Path
) -> None:
    first = start(wh, file, "whole")
    words, complaints = first.communicate("go\n", timeout=120)
    assert first.returncode == 0, complaints
    fragments, seconds = words.split()
    assert (int(fragments), seen(wh, "whole")) == (FILES, ALL)
    drawn = random.Random(7)
    for number in range(KILLS):
        name = f"net{number}"
        child = start(wh, file, name)
        go(child)
        time.sleep(float(seconds) * drawn.uniform(0.1, 1.1))
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
        assert seen(wh, name) in (NOTHING, ALL)
        finished = "SELECT count(*) FROM runs WHERE key LIKE $like AND seconds IS NOT NULL"
        if seen(wh, name) == NOTHING:
            assert wh.frame(finished, like=f'%"{name}"%').item() == 0
            assert wh.put(name, "top", "faces", file).fragments > 0
        found = wh.matrix(name, "top", "faces").values
        assert np.array_equal(found.view(np.uint32), values.view(np.uint32))


def test_imports_of_one_thing_at_once_store_it_once(
    wh: Warehouse, values: NDArray[np.float32], file: Path
) -> None:
    children = [start(wh, file, "one") for _ in range(4)]
    for child in children:
        go(child)
    told = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * 4, told
    assert sum(int(words.split()[0]) for words, _ in told) == FILES
    assert seen(wh, "one") == ALL
    assert np.array_equal(wh.matrix("one", "top", "faces").values, values)


def test_of_different_imports_under_one_name_one_wins_and_the_others_say_so(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path
) -> None:
    files = []
    for number in range(3):
        files.append(tmp_path / f"{number}.npy")
        np.save(files[-1], values + np.float32(number))
    children = [start(wh, file, "one") for file in files]
    for child in children:
        go(child)
    told = [child.communicate(timeout=120) for child in children]
    (winner,) = [i for i, child in enumerate(children) if child.returncode == 0]
    told.pop(winner)
    assert all("stored with other activations" in complaints for _, complaints in told)
    assert seen(wh, "one") == ALL
    assert np.array_equal(wh.matrix("one", "top", "faces").values, np.load(files[winner]))

"""Ingest beside its floor: the same network over the same decoded batches, with nothing stored."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from benchmarks.setting import add_photographs, new_warehouse, print_table
from fexp_store import Warehouse
from fexp_store.ingest import Options, ingest
from fexp_store.ingest.batches import batches
from fexp_store.ingest.device import choose
from fexp_store.networks import registry
from fexp_store.networks.forward import run_layers
from fexp_store.networks.records import Options as Network
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse.networks import registered

IMAGES = 96
LAYER = "conv5_3"
RUNS = 4
AGAIN = 3


def run() -> None:
    """Measure ingests beside their floor, and the second of an untrained network."""
    run_beside_floor()
    print()
    run_again()


def run_beside_floor() -> None:
    """Measure the two in turn, and print medians and the ratio run by run."""
    options = Options(device="cpu")
    bare: list[float] = []
    stored: list[float] = []
    for number in range(RUNS + 1):
        with tempfile.TemporaryDirectory() as directory:
            wh = new_warehouse(directory)
            registry.add(wh, "vgg", Network(architecture="vgg_face", untrained=True))
            # The first round only warms up; then each goes first in turn.
            add_photographs(wh, "photographs", IMAGES if number else 2)
            pair: list[tuple[Callable[[], object], list[float]]] = [
                (partial(bare_loop, wh, options), bare),
                (partial(ingest, wh, "vgg", [LAYER], "photographs", options), stored),
            ]
            for function, seconds in pair[:: 1 if number % 2 else -1]:
                start = time.perf_counter()
                function()
                if number:
                    seconds.append(time.perf_counter() - start)
            size = sum(p.stat().st_size for p in Path(directory).rglob("part-*.parquet"))
    ratios = [b / a for a, b in zip(bare, stored, strict=True)]
    print_table(
        ("VGG-16 body, conv5_3, 96 images", "seconds, median", "ratio to bare, median", "range"),
        [
            ("bare loop", f"{statistics.median(bare):.1f}", "1", ""),
            (
                f"ingest ({size / 1e6:.0f} MB stored)",
                f"{statistics.median(stored):.1f}",
                f"{statistics.median(ratios):.3f}",
                f"{min(ratios):.3f}–{max(ratios):.3f}",
            ),
        ],
    )


def run_again() -> None:
    """Print the CPU time of later ingests of an untrained network, drawn anew and kept."""
    again: dict[str, list[float]] = {"drawn at each ingest": [], "drawn once and kept": []}
    with tempfile.TemporaryDirectory() as directory:
        wh = new_warehouse(directory)
        registry.add(wh, "vgg", Network(architecture="vgg_face", untrained=True))
        for number in range(AGAIN + 1):
            for kept, seconds in enumerate(again.values()):
                name = f"photographs{number}{kept}"
                add_photographs(wh, name, 24)
                # Nothing is kept in 0 MiB. The first round keeps, checks and warms up.
                cache = {"FEXP_CACHE": str(Path(directory) / f"cache{kept}")}
                cache |= {} if kept else {"FEXP_CACHE_WEIGHTS": "0"}
                took = _cpu_of_ingest(wh, name, os.environ | cache)
                if number:
                    seconds.append(took)
    medians = [statistics.median(seconds) for seconds in again.values()]
    print_table(
        ("untrained VGG-Face, conv5_3, 24 images", "CPU seconds, median", "ratio"),
        [
            (what, f"{median:.1f}", f"{median / medians[0]:.2f}")
            for what, median in zip(again, medians, strict=True)
        ],
    )


def _cpu_of_ingest(wh: Warehouse, stimulus_set: str, environment: dict[str, str]) -> float:
    """Run ``fexp ingest`` in a process of its own; return its user and system time."""
    where = ["-w", wh.location, "ingest", "--network", "vgg", "--layer", LAYER]
    command = [sys.executable, "-m", "fexp_store.cli", *where, "--stimuli", stimulus_set]
    before = os.times()
    subprocess.run([*command, "--device", "cpu"], check=True, env=environment, capture_output=True)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def _copy(_: str, out: Tensor) -> None:
    out.clone()


def bare_loop(wh: Warehouse, options: Options, layers: Sequence[str] = (LAYER,)) -> None:
    """Load the network, decode, run up to the last layer, copy the outputs, drop them."""
    net = registry.load(wh, registered(wh, "vgg"))
    device = choose(options.device, options.precision)
    module = device.place(net.module)
    rows = read_set(wh, "photographs").to_dicts()
    paths = {layer: net.paths[layer] for layer in layers}
    workers = options.workers or min(8, os.cpu_count() or 1)
    size = options.batch_size
    portions = (rows[first : first + size] for first in range(0, len(rows), size))
    for batch in batches(wh.storage, portions, net.preprocessing, workers):
        with device.arithmetic():
            x = net.preprocessing.normalise(device.upload(batch))
            run_layers(module, paths, x, _copy)

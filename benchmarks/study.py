"""``examples/demo.toml``: all analyses of five real networks from stored activations."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.setting import in_own_process, new_warehouse, print_table
from fexp_store import Warehouse
from fexp_store.progress import no_bar
from fexp_store.study.file import read_study
from fexp_store.study.run import analyse, prepare

FILE = Path(__file__).parents[1] / "examples" / "demo.toml"


def run() -> None:
    """Make the images and activations, then measure the analyses in a process of their own."""
    with tempfile.TemporaryDirectory() as directory:
        root = new_warehouse(directory).location
        made, _ = in_own_process(_prepare, root)
        (seconds, steps), peak = in_own_process(_analyse, root)
    rows = [(len(steps), f"{seconds:.1f}", f"{peak / 1e6:.0f}", f"{made:.0f}")]
    header = ("analyses", "seconds", "peak RSS, MB", "seconds to make images and activations")
    print_table(header, rows)


def _prepare(root: str) -> float:
    start = time.perf_counter()
    prepare(Warehouse(root), read_study(FILE), no_bar)
    return time.perf_counter() - start


def _analyse(root: str) -> tuple[float, list[tuple[str, bool]]]:
    start = time.perf_counter()
    steps = analyse(Warehouse(root, threads=2), read_study(FILE), no_bar)
    if not all(ran for _, ran in steps):
        raise RuntimeError("An analysis was there already.")
    return time.perf_counter() - start, steps

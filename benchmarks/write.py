"""Writing alone: MB/s of raw activations into a fragment, on one core, beside a bare .npy file."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.setting import UNITS, print_table
from fexp_store.warehouse.activations.fragment import Portion
from fexp_store.warehouse.activations.write import Held, write_portion
from fexp_store.warehouse.storage import storage_of

STIMULI = 240
RUNS = 5
PORTION = Portion("f", "net", "conv5_3", "set1", 0, UNITS, 0, STIMULI, None, "fp32", "benchmark")


def run() -> None:
    """Measure and print; the processor time of the process is what counts for a core."""
    values = np.random.default_rng(0).standard_normal((STIMULI, UNITS), np.float32)
    dense = np.abs(values)
    sparse = np.maximum(values - np.float32(0.25), 0)
    rows = []
    for name, array in (("60 % zeros (a ReLU's)", sparse), ("no zeros", dense)):
        with tempfile.TemporaryDirectory() as directory:
            wall, core, size = [], [], 0
            for _ in range(RUNS):
                clocks = time.perf_counter(), time.process_time()
                size = write_portion(storage_of(directory), PORTION, Held(array)).bytes
                wall.append(time.perf_counter() - clocks[0])
                core.append(time.process_time() - clocks[1])
            start = time.perf_counter()
            np.save(Path(directory) / "bare.npy", array)
            bare = time.perf_counter() - start
        megabytes = array.nbytes / 1e6
        rows.append(
            (
                name,
                f"{megabytes:.0f}",
                f"{size / array.nbytes:.3f}",
                f"{megabytes / statistics.median(core):.0f}",
                f"{megabytes / statistics.median(wall):.0f}",
                f"{megabytes / bare:.0f}",
            )
        )
    header = ("activations", "raw MB", "size / raw", "MB/s a core", "MB/s", "np.save, MB/s")
    print_table(header, rows)

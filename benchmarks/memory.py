"""Peak memory of an ingest, for ten times the stimuli, and beside what --dry-run predicts."""

from __future__ import annotations

import tempfile

from benchmarks.setting import (
    add_photographs,
    allow_cheap_network,
    in_own_process,
    new_warehouse,
    print_table,
)
from fexp_store import Warehouse
from fexp_store.ingest import Options, ingest
from fexp_store.networks import registry
from fexp_store.networks.records import Options as Network

MEMORY = 32  # MiB
STIMULI = (96, 960)


def run() -> None:
    """Measure each in a process of its own, and print."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        allow_cheap_network()
        wh = new_warehouse(directory)
        registry.add(wh, "cheap", Network(untrained=True))
        first = 0
        for n_stimuli in STIMULI:
            add_photographs(wh, f"s{n_stimuli}", n_stimuli)
            fragments, peak = in_own_process(_ingest, wh.location, f"s{n_stimuli}")
            first = first or peak
            rows.append((n_stimuli, fragments, f"{peak / 1e6:.0f}", f"{peak / first:.3f}"))
    print(f"A cheap network with a 100,352-unit layer, --memory {MEMORY}.\n")
    print_table(("stimuli", "fragments", "peak RSS, MB", "ratio"), rows)


def _ingest(root: str, stimulus_set: str) -> int:
    allow_cheap_network()
    options = Options(device="cpu", memory=MEMORY)
    return ingest(Warehouse(root), "cheap", ["conv"], stimulus_set, options).fragments

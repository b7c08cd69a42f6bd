"""Ingests killed at random moments: nothing lost, nothing twice, nothing partial."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time

from benchmarks.setting import add_photographs, new_warehouse, print_table
from fexp_store import Warehouse
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.records import Options

KILLS = 50
STIMULI = 240
LAYERS = {"conv4_3": 8192, "conv5_3": 4096, "embedding": 128}
CHILD = """
import sys
from fexp_store import Warehouse
from fexp_store.ingest import Options, ingest
def started(total):
    print("started", flush=True)
    return lambda n: None
layers = sys.argv[2].split(",")
options = Options(memory=0.25, batch_size=2)
ingest(Warehouse(sys.argv[1]), "dlib", layers, "photographs", options, started=started)
"""


def run() -> None:
    """Kill ingests of three layers in one pass, check after each, and print what was found."""
    rng = random.Random(0)
    lost = twice = partial = visible = kills = 0
    with tempfile.TemporaryDirectory() as directory:
        wh = new_warehouse(directory)
        registry.add(wh, "dlib", Options(architecture="dlib_face", untrained=True))
        add_photographs(wh, "photographs", STIMULI, side=150)
        while kills < KILLS:
            if not _kill_one(wh, rng.uniform(0, 0.35)):
                break
            kills += 1
            counts = _counts(wh)
            lost += max(0, visible - sum(n for _, n, _ in counts))
            twice += sum(n - different for _, n, different in counts)
            partial += sum(different % LAYERS[layer] != 0 for layer, _, different in counts)
            visible = sum(n for _, n, _ in counts)
        ingest(wh, "dlib", list(LAYERS), "photographs")
        complete = {layer: n for layer, n, _ in _counts(wh)}
    whole = complete == {layer: units * STIMULI for layer, units in LAYERS.items()}
    print_table(
        ("kills", "lost", "twice", "partial", "stored before the last run", "complete after it"),
        [(kills, lost, twice, partial, visible, whole)],
    )


def _kill_one(wh: Warehouse, after: float) -> bool:
    command = [sys.executable, "-c", CHILD, wh.location, ",".join(LAYERS)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    begun = child.stdout.readline() == "started\n"
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return begun


def _counts(wh: Warehouse) -> list[tuple[str, int, int]]:
    return wh.frame(
        "SELECT layer, count(*) AS n, count(DISTINCT (unit_id, stimulus_id)) AS different "
        "FROM activations GROUP BY layer"
    ).rows()

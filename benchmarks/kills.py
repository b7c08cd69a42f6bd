"""Ingests killed at random moments, several at once: nothing lost, twice, partial or otherwise."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from math import prod
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.setting import add_photographs, new_warehouse, print_table
from fexp_store import Warehouse
from fexp_store.ingest import Options, ingest
from fexp_store.networks import registry
from fexp_store.networks.architecture import Architecture, reader
from fexp_store.networks.architectures import ARCHITECTURES
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.records import Options as Network
from fexp_store.warehouse.activations import grid

KILLS = 100
STIMULI = 120
SIDE = 32
LAYERS = {"early": (8, 32, 32), "late": (32, 8, 8), "flat": (128,)}
CELL_BYTES = 12 * 4 * 8 * SIDE * SIDE  # cells of 12, 48 and 768 stimuli
MEMORIES = (0.25, 32.5, 1024.0)  # MiB: all on disk, some in memory, all in memory
BATCH_SIZES = (5, 8)
GROUPS = 3  # of processes, for each warehouse
LONGEST = 2.5  # seconds until a process is killed


@dataclass
class Findings:
    """What a series of kills came to.

    Parameters
    ----------
    kills, processes, warehouses : int
        Processes that were killed, all of them, and warehouses that they worked on.
    faults : list of str
        What must not be, in words.
    """

    kills: int = 0
    processes: int = 0
    warehouses: int = 0
    faults: list[str] = field(default_factory=list)


class _Small(torch.nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            *(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU()),
            *(torch.nn.Conv2d(8, 32, 4, stride=4), torch.nn.ReLU()),
            *(torch.nn.Flatten(), torch.nn.Linear(32 * 8 * 8, 128)),
        )


def allow_small_network() -> None:
    """Make the architecture ``small``: three layers, quick enough to be run a thousand times."""
    ARCHITECTURES["small"] = Architecture(
        name="small",
        build=_Small,
        layers={"early": "1", "late": "3", "flat": "5"},
        preprocessing=Preprocessing(SIDE, SIDE, (128.0,) * 3, (64.0,) * 3),
        training="none",
        read_weights=reader(lambda _path: {}, "none"),
    )


def attack(directory: Path, kills: int, seed: int) -> Findings:
    """Kill ingests at random moments, look after each group of them, and finish what they left.

    Parameters
    ----------
    directory : Path
        Where to work.
    kills : int
        Go on until so many processes were killed.
    seed : int
        Of what is ingested, how, and when it is killed.
    """
    allow_small_network()
    template = new_warehouse(directory)
    registry.add(template, "small", Network(architecture="small", untrained=True))
    add_photographs(template, "photographs", STIMULI, side=SIDE)
    template.close()
    undisturbed = {
        size: _activations(_ingested(_copied(template, directory / f"undisturbed{size}"), size))
        for size in BATCH_SIZES
    }
    found, rng = Findings(), random.Random(seed)
    while found.kills < kills:
        wh = _copied(template, directory / f"killed{found.warehouses}")
        found.warehouses += 1
        stored: dict[str, set[int]] = {}
        for _ in range(GROUPS):
            complete = _killed_group(wh, found, rng)
            stored = _looked_at(wh, found, stored, complete)
        _compare(_ingested(wh, rng.choice(BATCH_SIZES)), undisturbed, found)
    return found


def _killed_group(wh: Warehouse, found: Findings, rng: random.Random) -> set[str]:
    """Run a few ingests at once, kill those that take longer; return layers said to be complete."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # which imports torch once
    group: list[tuple[float, list[str], BaseProcess]] = []
    for _ in range(rng.randint(2, 4)):
        layers = rng.sample(list(LAYERS), rng.randint(1, len(LAYERS)))
        how = (layers, rng.choice(MEMORIES), rng.choice(BATCH_SIZES))
        process: BaseProcess = context.Process(target=_ingest_here, args=(wh.location, *how))
        process.start()
        group.append((time.monotonic() + rng.uniform(0, LONGEST), layers, process))
    complete: set[str] = set()
    for until, layers, process in sorted(group, key=lambda one: one[0]):
        process.join(max(0, until - time.monotonic()))
        process.kill()
        process.join()
        found.processes += 1
        found.kills += process.exitcode == -9
        if process.exitcode == 0:
            complete |= set(layers)
        elif process.exitcode != -9:
            found.faults.append(f"an ingest that was not killed ended with {process.exitcode}")
    return complete


def _ingest_here(root: str, layers: list[str], memory: float, batch_size: int) -> None:
    allow_small_network()
    grid.FRAGMENT_BYTES = CELL_BYTES
    options = Options(device="cpu", memory=memory, batch_size=batch_size, workers=1)
    ingest(Warehouse(root, threads=1), "small", layers, "photographs", options)


def _ingested(wh: Warehouse, batch_size: int) -> Warehouse:
    """Ingest all layers in this process, undisturbed."""
    default = grid.FRAGMENT_BYTES
    try:
        _ingest_here(wh.location, list(LAYERS), 1024, batch_size)
    finally:
        grid.FRAGMENT_BYTES = default
    return wh


def _looked_at(
    wh: Warehouse, found: Findings, before: dict[str, set[int]], complete: set[str]
) -> dict[str, set[int]]:
    """Return the stimuli that are stored of each layer; each has every unit once."""
    rows = wh.frame(
        "SELECT layer, stimulus_id, count(*) AS n, count(DISTINCT unit_id) AS units "
        "FROM activations GROUP BY ALL"
    )
    stored: dict[str, set[int]] = {layer: set() for layer in LAYERS}
    for layer, stimulus, n, units in rows.iter_rows():
        stored[layer].add(stimulus)
        if not n == units == prod(LAYERS[layer]):
            found.faults.append(f"{layer} has {n} activations for stimulus {stimulus}")
    for layer, stimuli in stored.items():
        if lost := before.get(layer, set()) - stimuli:
            found.faults.append(f"{layer} has lost stimuli {sorted(lost)}")
        if layer in complete and len(stimuli) < STIMULI:
            found.faults.append(f"an ingest ended well and {layer} has {len(stimuli)} stimuli")
    return stored


def _activations(wh: Warehouse) -> dict[str, NDArray[np.float32]]:
    return {layer: wh.matrix("small", layer, "photographs").values for layer in LAYERS}


def _compare(
    wh: Warehouse, undisturbed: dict[int, dict[str, NDArray[np.float32]]], found: Findings
) -> None:
    """Compare with undisturbed ingests: bit by bit at the same batch size, else to 1e-6."""
    _looked_at(wh, found, {}, set(LAYERS))
    made = wh.frame(
        "SELECT layer, stimulus_start, stimulus_stop, (r.parameters->>'batch_size')::INTEGER"
        " FROM fragments JOIN runs AS r USING (run_id)"
    )
    stored = _activations(wh)
    for layer, start, stop, batch_size in made.iter_rows():
        for size, expected in undisturbed.items():
            one, other = stored[layer][start:stop], expected[layer][start:stop]
            if size == batch_size and not np.array_equal(one.view("u4"), other.view("u4")):
                found.faults.append(f"{layer} {start}-{stop} differs at batch size {size}")
            if np.abs(one - other).max() > 1e-6 * np.abs(expected[layer]).max():
                found.faults.append(f"{layer} {start}-{stop} differs from batch size {size}")


def _copied(wh: Warehouse, directory: Path) -> Warehouse:
    shutil.copytree(wh.location, directory)
    return Warehouse(directory)


def run() -> None:
    """Kill, and print what was found."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        found = attack(Path(directory), KILLS, seed=0)
    print_table(
        ("kills", "processes", "warehouses", "faults", "seconds"),
        [
            (
                found.kills,
                found.processes,
                found.warehouses,
                len(found.faults),
                round(time.perf_counter() - start),
            )
        ],
    )
    for fault in found.faults:
        print(f"- {fault}")

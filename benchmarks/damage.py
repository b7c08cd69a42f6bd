"""What disks, people and other programs do to the files of a warehouse."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.setting import write_photographs
from fexp_store import Warehouse
from fexp_store.analyses.selectivity.select import Options, select
from fexp_store.stimuli.photographs.add import add_photographs
from fexp_store.stimuli.recipe import Listing
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.saved import save

HERE = Place("planted", "top:pre", "faces")
OTHER = Place("planted", "other", "faces")


def furnish(wh: Warehouse, photographs: Path, identities: int = 4, units: int = 40) -> None:
    """Store something of every kind: kept images, activations, results, a saved result."""
    manifest = photographs / "manifest.csv"
    if not manifest.exists():
        write_photographs(photographs, 6 * identities, side=24)
    add_photographs(wh, HERE.stimulus_set, manifest, Listing(copy=True))
    values = planted(6 * identities, units)
    wh.put(*HERE, values)
    wh.put(*OTHER, values[:, ::-1])
    select(wh, HERE, Options())
    save(wh, "means", "SELECT unit_id, avg(activation) AS mean FROM activations GROUP BY 1", {})


def planted(n_stimuli: int, units: int) -> NDArray[np.float64]:
    """Noise with an effect of expression on each unit, of another size."""
    rng = np.random.default_rng(7)
    effect = np.arange(n_stimuli)[:, None] % 6 * rng.uniform(0, 2, units)
    return rng.normal(size=(n_stimuli, units)) + effect


def files(wh: Warehouse, pattern: str) -> list[Path]:
    """The files of a warehouse that a pattern names, in order."""
    return sorted(path for path in Path(wh.location).glob(pattern) if path.is_file())


def flip(path: Path, bit: int) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1 << bit % 8]))


def random_bit(path: Path, rng: random.Random) -> int:
    """One of its bits, each as likely as any."""
    return rng.randrange(8 * path.stat().st_size)

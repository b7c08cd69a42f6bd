"""What tests write and look at: photographs, fragments, and what must not change."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fexp_store import Warehouse
from fexp_store.expressions import BASIC
from fexp_store.warehouse import delta
from fexp_store.warehouse.activations import write
from fexp_store.warehouse.activations.fragment import Fragment, Portion
from fexp_store.warehouse.place import Place

Fexp = Callable[..., subprocess.CompletedProcess[str]]


def write_photographs(
    directory: Path,
    identities: int,
    expressions: Sequence[str] = BASIC,
    side: int = 64,
    seed: int = 0,
) -> Path:
    """Write coloured noise with a pattern per identity and per expression; return the manifest."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    size = (side, side, 3)
    # Identity is the weaker pattern, so that some units are selective for expression alone.
    whos = rng.uniform(-4, 4, (identities, *size))
    hows = rng.uniform(-60, 60, (len(expressions), *size))
    rows = []
    for i in range(identities):
        for j, expression in enumerate(expressions):
            pixels = 128 + whos[i] + hows[j] + rng.normal(0, 12, size)
            file = f"{i}_{expression}.png"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(directory / file)
            rows.append((file, f"p{i}", expression))
    manifest = directory / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "identity", "expression"))
        writer.writerows(rows)
    return manifest


def write_fragment(
    wh: Warehouse, values: NDArray[np.float32], start: int, place: Place, run: str = "r"
) -> Fragment:
    n_stimuli, n_units = values.shape
    portion = Portion(
        fragment_id="f",
        **place.columns,
        unit_start=0,
        unit_stop=n_units,
        stimulus_start=start,
        stimulus_stop=start + n_stimuli,
        keep_bits=None,
        precision="fp32",
        run_id=run,
    )
    return write.write_portion(wh.storage, portion, write.Held(values), allow_nonfinite=True)


def state(wh: Warehouse) -> tuple[dict[str, int], set[Path]]:
    """What must not change when something is refused: Delta versions, and files of the tables."""
    files = {
        p for name in delta.names() for p in Path(wh.storage.uri(name)).rglob("*") if p.is_file()
    }
    return delta.log_versions(wh.storage), files

"""Shared warehouses: small, of real images, run through real networks."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fexp_store import Warehouse
from fexp_store.expressions import BASIC
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.registry import Untrained
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse import tables

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


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A manifest of 4 identities x 6 expressions."""
    return write_photographs(tmp_path / "photographs", 4)


@pytest.fixture
def empty(tmp_path: Path) -> Warehouse:
    """A warehouse with nothing in it."""
    return Warehouse.create(tmp_path / "warehouse")


@pytest.fixture
def ready(empty: Warehouse, photographs: Path) -> Warehouse:
    """A warehouse with a stimulus set and an untrained network, and no activations yet."""
    add_manifest(empty, "set1", photographs)
    registry.add(empty, "dlib", "dlib_face", untrained=Untrained(seed=3))
    return empty


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with three stored layers of 8 identities x 6 expressions; tests only read it."""
    root = tmp_path_factory.mktemp("ingested")
    wh = Warehouse.create(root / "warehouse")
    add_manifest(wh, "set1", write_photographs(root / "photographs", 8))
    registry.add(wh, "dlib", "dlib_face", untrained=Untrained(seed=3))
    ingest(wh, "dlib", ["conv4_3", "conv4_3:pre", "embedding"], "set1")
    return wh


@pytest.fixture
def own_copy(ingested: Warehouse, tmp_path: Path) -> Warehouse:
    """The same warehouse, for a test to write to."""
    shutil.copytree(ingested.location, tmp_path / "own_copy")
    return Warehouse(tmp_path / "own_copy")


@pytest.fixture
def fexp(tmp_path: Path) -> Fexp:
    """Run the command line as its users do: a process of its own, in a directory of its own."""

    def run(*arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fexp_store.cli", *map(str, arguments)]
        environment = {k: v for k, v in os.environ.items() if k != "FEXP_WAREHOUSE"}
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            env=environment,
            check=False,
        )

    return run


def state(wh: Warehouse) -> tuple[dict[str, int], set[Path]]:
    """What must not change when something is refused: Delta versions, and files of the tables."""
    files = {
        p for name in tables.names() for p in Path(wh.storage.uri(name)).rglob("*") if p.is_file()
    }
    return tables.log_versions(wh.storage), files

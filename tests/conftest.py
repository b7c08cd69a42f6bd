"""Shared warehouses: small, of real images, run through real networks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.forked import Forked, forking
from support.small import UNTRAINED, add_small
from support.writing import Fexp, write_photographs

from benchmarks.damage import furnish
from fexp_store import Warehouse
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.stimuli.photographs.add import add_manifest

# The machine may be busy: an example that takes long is no fault.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever runs the command line as a process is slow."""
    for item in items:
        if {"fexp", "forked"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What fexp remembers of files on this machine is the tests' own, in processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["FEXP_CACHE"])


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
    registry.add(empty, "dlib", UNTRAINED)
    return empty


@pytest.fixture
def small(empty: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse with a set and an untrained network of three layers that takes no time."""
    add_small(empty, tmp_path, monkeypatch)
    return empty


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with three stored layers of 8 identities x 6 expressions; tests only read it."""
    root = tmp_path_factory.mktemp("ingested")
    wh = Warehouse.create(root / "warehouse")
    add_manifest(wh, "set1", write_photographs(root / "photographs", 8))
    registry.add(wh, "dlib", UNTRAINED)
    ingest(wh, "dlib", ["conv4_3", "conv4_3:pre", "embedding"], "set1")
    return wh


@pytest.fixture
def own_copy(ingested: Warehouse, tmp_path: Path) -> Warehouse:
    """The same warehouse, for a test to write to."""
    shutil.copytree(ingested.location, tmp_path / "own_copy")
    return Warehouse(tmp_path / "own_copy")


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with something of every kind; tests only read it."""
    root = tmp_path_factory.mktemp("furnished")
    wh = Warehouse.create(root / "warehouse")
    furnish(wh, root / "photographs")
    return wh


@pytest.fixture
def damaged(furnished: Warehouse, tmp_path: Path) -> Warehouse:
    """The same warehouse, for a test to damage."""
    shutil.copytree(furnished.location, tmp_path / "copy")
    return Warehouse(tmp_path / "copy")


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """Run the command line in forked processes, under limits: quick to start."""
    with forking(tmp_path_factory.mktemp("forked")) as run:
        yield run


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

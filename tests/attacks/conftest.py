"""The warehouse that is attacked."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.forked import Forked
from support.planted import add_network, plant, prototype_rows, register_rows
from support.victim import NUMBERS, Victim, make_secrets
from support.writing import write_photographs

from fexp_store import Warehouse
from fexp_store.analyses import analysis
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.saved import save


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them start processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with a set, a network, activations, a finished analysis and a saved result."""
    wh = Warehouse.create(tmp_path_factory.mktemp("sound") / "warehouse")
    register_rows(wh, "set1", prototype_rows(["p0", "p1", "p2", "p3"]))
    add_network(wh, "net", 40)
    values = np.random.default_rng(0).normal(size=(24, 40))
    plant(wh, "net", "set1", values)
    select = analysis("select")
    select.run(wh, Place("net", "planted", "set1"), select.options())
    save(wh, "mine", "SELECT unit_id, activation FROM activations LIMIT 10", {})
    assert wh.frame(NUMBERS).item(0, 0) == 24 * 40
    wh.close()
    return Path(wh.location)


@pytest.fixture(scope="session")
def true_numbers(sound: Path, forked: Forked) -> bytes:
    """What the sound warehouse answers."""
    done = forked("-w", sound, "sql", NUMBERS, "-f", "csv")
    assert done.code == 0
    return done.stdout


@pytest.fixture
def victim(sound: Path, tmp_path: Path, forked: Forked, true_numbers: bytes) -> Victim:
    """A warehouse to attack."""
    path, outside = tmp_path / "warehouse", tmp_path / "outside"
    shutil.copytree(sound, path)
    (tmp_path / "work").mkdir()
    make_secrets(outside)
    return Victim(path, outside, forked, true_numbers)


@pytest.fixture
def picture(victim: Victim) -> Path:
    """A manifest of one picture, in the folder where commands are run."""
    folder = victim.outside.parent / "work" / "pictures"
    return write_photographs(folder, 1, ["fear"])

"""Files of unit_ids: what is recorded of them is what was read, and tells them apart."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.planted import add_network, plant, prototype_rows, register_rows

from fexp_store import BadInput, Warehouse
from fexp_store.analyses.comparison.compare import Options as CompareOptions
from fexp_store.analyses.comparison.compare import compare
from fexp_store.analyses.expressions.decode import Options, decode
from fexp_store.analyses.reading.units import UnitSource, choose_units, recorded
from fexp_store.options import plain
from fexp_store.warehouse.place import Place

PLACE = Place("one", "planted", "faces")


@pytest.fixture
def planted(empty: Warehouse) -> Warehouse:
    """Two networks, of which units 0 to 5 respond to expression and the others do not."""
    register_rows(empty, "faces", prototype_rows([f"p{i}" for i in range(8)]))
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        values = rng.normal(size=(48, 12))
        values[np.arange(48), np.arange(48) % 6] += 4
        add_network(empty, name, 12)
        plant(empty, name, "faces", values)
    return empty


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files of one name."""
    found = []
    for number, units in enumerate((range(6), range(6, 12))):
        file = tmp_path / str(number) / "units.txt"
        file.parent.mkdir()
        file.write_text("\n".join(map(str, reversed(units))))
        found.append(file)
    return found


def test_two_files_of_one_name_are_two_records(planted: Warehouse, files: list[Path]) -> None:
    accuracies = [
        decode(planted, PLACE, Options(units=str(file), folds=2, shuffles=0)).found.accuracy
        for file in files
    ]
    assert accuracies[0] > accuracies[1] + 0.3
    stored = dict(planted.frame("SELECT units, avg(accuracy) FROM decoding GROUP BY 1").rows())
    expected = zip(map(recorded, map(str, files)), map(pytest.approx, accuracies), strict=True)
    assert stored == dict(expected)
    assert len(stored) == 2
    assert {name.split(", sha256")[0] for name in stored} == {"units.txt (6 units"}


def test_the_hash_is_that_of_sorted_lines(files: list[Path]) -> None:
    files[0].write_text("11\n2\n2\n10\n")
    done = subprocess.run(
        "sort -nu units.txt | sha256sum",
        shell=True,
        cwd=files[0].parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert recorded(str(files[0])) == f"units.txt (3 units, sha256 {done.stdout[:12]})"
    assert plain(CompareOptions(units=str(files[0])))["units"] == recorded(str(files[0]))
    assert plain(CompareOptions(units="all"))["units"] == "all"


def test_results_of_a_file_are_compared_by_what_is_in_it(
    planted: Warehouse, files: list[Path]
) -> None:
    places = [PLACE, PLACE._replace(network="two")]
    means = []
    for file in files:
        for place in places:
            decode(planted, place, Options(units=str(file), folds=2, shuffles=0))
        found = compare(planted, places, CompareOptions(units=str(file)))
        means.append(found["mean_a"][0])
    assert means[0] > means[1] + 0.3


def test_a_file_that_changes_after_it_was_recorded_is_refused(
    planted: Warehouse, files: list[Path]
) -> None:
    path = str(files[0])
    source = {"units": recorded(path)}
    options = UnitSource(units=path)
    assert choose_units(planted, PLACE, options, source) == [list(range(6))]
    files[0].write_text("1\n")
    with pytest.raises(BadInput, match="changed while it was read"):
        choose_units(planted, PLACE, options, source)

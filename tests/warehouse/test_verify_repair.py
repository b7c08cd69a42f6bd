"""What `verify` names can be mended as it says: then nothing is wrong, and answers are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable
from support.forked import Forked

from benchmarks.damage import HERE, OTHER, files, flip, furnish
from fexp_store import FexpError, Warehouse
from fexp_store.ingest import ingest
from fexp_store.warehouse.verify.fault import Fault, Kind
from fexp_store.warehouse.verify.repair import repair
from fexp_store.warehouse.verify.verify import locate, verify

QUERIES = (
    "SELECT network, layer, count(*), sum(activation::DECIMAL(18, 6)) FROM activations"
    " GROUP BY ALL ORDER BY ALL",
    "SELECT * EXCLUDE (created) FROM networks ORDER BY ALL",
    "FROM stimuli ORDER BY ALL",
    "SELECT fragment_id, network, layer, stimulus_start, rows FROM fragments"
    " ORDER BY network, layer, stimulus_start",
    "SELECT * EXCLUDE (run_id) FROM selectivity ORDER BY ALL",
    "SELECT * EXCLUDE (run_id) FROM saved.means ORDER BY ALL",
)

RECORDS = 3


def content(wh: Warehouse) -> list[Any]:
    fresh = Warehouse(wh.location)
    images = {path.name: path.read_bytes() for path in files(wh, "images/*/*")}
    matrices = [fresh.matrix(*place).values.tobytes() for place in (HERE, OTHER)]
    return [*(fresh.query(query).rows() for query in QUERIES), images, matrices]


def mend(wh: Warehouse) -> dict[Fault, str]:
    storage = locate(wh.location)
    report = verify(storage)
    assert report.faults
    done = repair(storage, report.faults)
    assert done.keys() == {*report.faults}
    return done


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def middle(path: Path) -> None:
    flip(path, 8 * (path.stat().st_size // 2) + 1)


DAMAGES = [Path.unlink, cut, middle]
FILES = {
    "activations": "activations/*/layer=other/*/*.parquet",
    "networks": "networks/*.parquet",
    "stimuli": "stimuli/*.parquet",
    "fragments": "fragments/*.parquet",
    "runs": "runs/*.parquet",
    "results": "results/selectivity/*/**/*.parquet",
    "saved": "results/saved/means/*/*.parquet",
    "image": "images/*/*",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_mended_by_repair_and_what_had_made_it(
    furnished: Warehouse, damaged: Warehouse, damage: Callable[[Path], object], kind: str
) -> None:
    """Every file of a kind at once; then the same commands as at first."""
    for path in files(damaged, FILES[kind]):
        damage(path)
    mend(damaged)
    again = Warehouse(damaged.location)
    assert verify(again.storage).faults == [] or kind in ("networks", "stimuli", "image")
    furnish(again, Path(furnished.location).parent / "photographs")
    assert verify(again.storage).faults == []
    found, expected = content(again), content(furnished)
    if kind == "fragments":  # nobody can say any more what the content was made of
        found[RECORDS] = [
            (row[0], *other[1:])
            for row, other in zip(expected[RECORDS], found[RECORDS], strict=True)
        ]
    assert found == expected


def test_what_is_only_unverified_stays(damaged: Warehouse) -> None:
    """Another program wrote the files anew: nothing is recorded of them, and nothing is wrong."""
    before = content(damaged)
    for name in ("activations", "networks", "stimuli"):
        DeltaTable(damaged.storage.uri(name)).optimize.compact()
    DeltaTable(damaged.storage.uri("activations")).optimize.z_order(["unit_id", "stimulus_id"])
    files(damaged, FILES["image"])[0].unlink()
    report = verify(damaged.storage)
    assert {fault.what for fault in report.unverified} >= {Kind.activations}
    assert repair(damaged.storage, report.faults).keys() == {*report.faults}
    after = content(damaged)
    assert after[:RECORDS] == before[:RECORDS]
    assert after[RECORDS + 1 :] == before[RECORDS + 1 :]
    done = repair(damaged.storage, (), report.unverified)
    assert {fault.what for fault in done} == {Kind.activations}
    assert Kind.activations not in {fault.what for fault in verify(damaged.storage).unverified}
    assert content(damaged)[RECORDS + 1 :] == before[RECORDS + 1 :]


def test_an_image_comes_back_from_where_it_was(furnished: Warehouse, damaged: Warehouse) -> None:
    """The photographs are still there: nothing else needs to be done."""
    for path, damage in zip(files(damaged, "images/*/*"), DAMAGES, strict=False):
        damage(path)
    assert {*mend(damaged).values()} == {"It was copied again from where it had been."}
    assert verify(damaged.storage).faults == []
    assert content(damaged) == content(furnished)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize("damage", [Path.unlink, halve, middle], ids=lambda damage: damage.__name__)
def test_the_marker_is_written_anew(damaged: Warehouse, damage: Callable[[Path], object]) -> None:
    damage(Path(damaged.location) / "warehouse.json")
    with pytest.raises(FexpError):
        Warehouse(damaged.location)
    mend(damaged)
    assert verify(damaged.storage).faults == []
    assert Warehouse(damaged.location).query(QUERIES[2]).height == 24


def test_a_checkpoint_goes_since_the_commits_say_it_all(damaged: Warehouse) -> None:
    before = content(damaged)
    DeltaTable(damaged.storage.uri("activations")).create_checkpoint()
    for path in files(damaged, "activations/_delta_log/*checkpoint*"):
        cut(path)
    mend(damaged)
    assert verify(damaged.storage).faults == []
    assert content(damaged) == before


def test_a_log_is_not_mended_and_the_rest_is(damaged: Warehouse) -> None:
    files(damaged, "runs/_delta_log/*.json")[1].unlink()
    files(damaged, FILES["image"])[0].unlink()
    report = verify(damaged.storage)
    done = repair(damaged.storage, report.faults)
    assert {fault.what for fault in report.faults if fault not in done} == {Kind.log}
    assert {fault.what for fault in done} == {Kind.image}


def test_results_of_a_run_that_lost_some_do_not_count(damaged: Warehouse) -> None:
    """A run has rows in two tables: those that are left are not shown without the others."""
    assert damaged.query("FROM selection").height
    files(damaged, FILES["results"])[0].unlink()
    mend(damaged)
    wh = Warehouse(damaged.location)
    assert wh.query("FROM selection").is_empty()
    assert wh.query("FROM selectivity").is_empty()
    assert wh.query("FROM saved.means").height
    assert wh.query("SELECT count(*) FROM runs WHERE kind = 'select' AND seconds > 0").item() == 0


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_an_ingest_brings_back_what_repair_took_out(
    ready: Warehouse, damage: Callable[[Path], object]
) -> None:
    ingest(ready, "dlib", ["embedding", "conv5_3"], "set1")
    before = ready.matrix("dlib", "embedding", "set1").values
    damage(files(ready, "activations/*/layer=embedding/*/*.parquet")[0])
    (said,) = mend(ready).values()
    assert said.endswith("Run: fexp ingest --network dlib --layer embedding --stimuli set1")
    assert ingest(ready, "dlib", ["embedding", "conv5_3"], "set1").fragments == 1
    assert verify(ready.storage).faults == []
    after = Warehouse(ready.location).matrix("dlib", "embedding", "set1").values
    assert np.array_equal(after, before)


def test_the_command_says_what_it_did(damaged: Warehouse, forked: Forked) -> None:
    files(damaged, FILES["activations"])[0].unlink()
    command = ("-w", damaged.location, "verify", "--repair", "--format", "json")
    done = forked(*command)
    assert done.code == 0, done.stderr
    (row,) = [row for row in json.loads(done.stdout) if row["what"] == "activations"]
    assert "fexp import --network planted --layer other --stimuli faces" in row["remedy"]
    files(damaged, "runs/_delta_log/*.json")[0].unlink()
    assert forked(*command).code == 1

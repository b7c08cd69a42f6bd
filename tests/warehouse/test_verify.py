"""Each kind of fault is named, where it is, and with what helps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from support.forked import Forked

from benchmarks.damage import HERE, files, flip
from fexp_store import NotFound, Warehouse
from fexp_store.warehouse import checked
from fexp_store.warehouse.verify.fault import Fault, Kind
from fexp_store.warehouse.verify.verify import last_verified, locate, verify

ACTIVATIONS = "activations/*/layer=other/*/*.parquet"
LOG = "activations/_delta_log/*.json"


def found(damaged: Warehouse, *, quick: bool = False) -> list[Fault]:
    return verify(locate(damaged.location), quick=quick).faults


def test_what_is_right_has_no_faults_and_is_remembered(damaged: Warehouse) -> None:
    assert last_verified(damaged.storage) is None
    told: list[int] = []
    report = verify(damaged.storage, started=lambda total: (told.append(-total), told.append)[1])
    assert report.faults == []
    assert sum(told) == 0
    assert report.bytes == -told[0] > 0
    (path,) = files(damaged, ACTIVATIONS)
    assert checked.known(damaged.storage, [path.relative_to(damaged.location).as_posix()])
    when = last_verified(damaged.storage)
    assert when is not None
    assert found(damaged, quick=True) == []
    assert last_verified(damaged.storage) == when


def test_all_that_is_read_only_is_left_as_it_was(damaged: Warehouse) -> None:
    before = {path: path.stat().st_mtime_ns for path in files(damaged, "**/*")}
    verify(damaged.storage)
    assert {path: path.stat().st_mtime_ns for path in files(damaged, "**/*")} == before


def middle(path: Path) -> None:
    flip(path, 8 * (path.stat().st_size // 2))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


# By name: which file, what is done, of what kind the fault is, whether a quick look finds it.
FILES: dict[str, tuple[str, Callable[[Path], object], Kind, bool]] = {
    "activations gone": (ACTIVATIONS, Path.unlink, Kind.activations, True),
    "activations cut": (ACTIVATIONS, cut, Kind.activations, True),
    "activations flipped": (ACTIVATIONS, middle, Kind.activations, False),
    "networks gone": ("networks/*.parquet", Path.unlink, Kind.part, True),
    "stimuli cut": ("stimuli/*.parquet", cut, Kind.part, True),
    "fragments gone": ("fragments/*.parquet", Path.unlink, Kind.part, True),
    "results gone": ("results/selectivity/*/**/*.parquet", Path.unlink, Kind.part, True),
    "saved results gone": ("results/saved/means/*/*.parquet", Path.unlink, Kind.part, True),
    "an image gone": ("images/*/*", Path.unlink, Kind.image, True),
    "an image flipped": ("images/*/*", middle, Kind.image, False),
    "the marker gone": ("warehouse.json", Path.unlink, Kind.marker, True),
    "the marker flipped": ("warehouse.json", middle, Kind.marker, True),
    "a record of this machine": (".local/image_roots.json", cut, Kind.record, True),
    "a first commit gone": ("runs/_delta_log/*0.json", Path.unlink, Kind.log, True),
    "a commit gone": ("runs/_delta_log/*1.json", Path.unlink, Kind.log, True),
    "a commit cut": ("runs/_delta_log/*1.json", cut, Kind.log, True),
}


@pytest.mark.parametrize("case", FILES)
def test_a_damaged_file_is_named(damaged: Warehouse, case: str) -> None:
    pattern, damage, kind, quick = FILES[case]
    path = files(damaged, pattern)[0]
    damaged.close()
    damage(path)
    where = path.relative_to(damaged.location).as_posix()
    assert any(fault.where == where for fault in found(damaged, quick=True)) == quick
    faults = found(damaged)
    assert [fault.what for fault in faults if fault.where == where] == [kind]
    assert all(
        fault.remedy.endswith((".", "--repair")) or ": fexp" in fault.remedy for fault in faults
    )
    assert last_verified(damaged.storage) is None


def renamed(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


LINES: dict[str, Callable[[str], str]] = {
    "an action of another name, which Delta skips": renamed('{"add":', '{"adf":'),
    "a field of another name": renamed('"dataChange"', '"dataChangd"'),
    "another partition": renamed('"layer":"other"', '"layer":"othes"'),
    "another path": renamed("layer=other/", "layer=othes/"),
    "another size": renamed('"size":', '"size":1'),
    "another number of rows": renamed('numRecords\\": ', 'numRecords\\": 1'),
    "another range of units": renamed('unit_id\\": 39', 'unit_id\\": 38'),
    "a line that is none": renamed("}\n", "}j"),
    "a path outside": renamed('"path":"network', '"path":"../network'),
}


@pytest.mark.parametrize("case", LINES)
def test_a_log_that_says_something_else_is_found(damaged: Warehouse, case: str) -> None:
    path = next(p for p in reversed(files(damaged, LOG)) if '"layer":"other"' in p.read_text())
    text = path.read_text()
    changed = LINES[case](text)
    assert changed != text
    path.write_text(changed)
    faults = found(damaged)
    assert any(fault.where.startswith("activations/") for fault in faults), faults
    assert found(damaged, quick=True)


def test_files_that_come_back_by_a_commit_that_is_lost_are_found(damaged: Warehouse) -> None:
    """A flipped path of a removal leaves what was removed beside what came instead."""
    log = Path(damaged.location) / "runs" / "_delta_log"
    DeltaTable(str(log.parent)).optimize.compact()
    newest = max(log.glob("*.json"))
    lines = newest.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if line.startswith('{"remove"'))
    lines[number] = lines[number].replace("part-", "parv-", 1)
    newest.write_text("\n".join(lines))
    assert found(damaged)[0].what is Kind.log
    assert found(damaged)[0].where == newest.relative_to(damaged.location).as_posix()


def test_a_checkpoint_that_says_something_else_is_found(damaged: Warehouse) -> None:
    table = DeltaTable(damaged.storage.uri("activations"))
    table.create_checkpoint()
    assert found(damaged) == []
    (path,) = files(damaged, "activations/_delta_log/*.checkpoint.parquet")
    rows = pq.read_table(path)
    adds = [number for number, row in enumerate(rows["add"].to_pylist()) if row is not None]
    pq.write_table(rows.take([i for i in range(rows.num_rows) if i != adds[0]]), path)
    assert Kind.checkpoint in {fault.what for fault in found(damaged)}


def test_a_catalog_that_changed_behind_its_times_is_found(damaged: Warehouse) -> None:
    damaged.frame("FROM networks")
    name = "catalog.duckdb"
    assert checked.known(damaged.storage, [name])
    checked.remember(damaged.storage, {name: "0" * 64})
    assert [(fault.what, fault.remedy) for fault in found(damaged)] == [
        (Kind.catalog, "Run: fexp index")
    ]


def test_there_must_be_a_warehouse(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="fexp -w"):
        locate(tmp_path)


def test_exit_code_and_table(damaged: Warehouse, forked: Forked) -> None:
    done = forked("-w", damaged.location, "verify", "--format", "json")
    assert done.code == 0, done.stderr
    assert ": 0 faults, " in done.stderr
    (path,) = files(damaged, ACTIVATIONS)
    path.unlink()
    done = forked("-w", damaged.location, "verify", "--format", "json")
    assert done.code == 1
    rows = [row for row in json.loads(done.stdout) if row["what"] == "activations"]
    assert [row["where"] for row in rows] == [path.relative_to(damaged.location).as_posix()]
    assert "fexp verify --repair" in rows[0]["remedy"]
    assert HERE.layer not in path.parts

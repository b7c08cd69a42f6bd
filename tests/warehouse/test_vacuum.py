"""What `vacuum` deletes: what nothing needs, of every kind, and never what somebody still does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable
from support.forked import Forked

from benchmarks.damage import HERE, files, flip
from fexp_store import BadInput, Warehouse
from fexp_store.errors import Conflict
from fexp_store.warehouse import commits, delta, saved, vacuum
from fexp_store.warehouse.status import status
from fexp_store.warehouse.vacuum import find
from fexp_store.warehouse.verify import removal
from fexp_store.warehouse.verify.verify import verify

HEX = "0123456789abcdef" * 2
HOUR = 3600
LAYER = "activations/network=planted/layer=other/stimulus_set=faces"
# What holders of the lock write goes at once if that is asked for; the rest after a day at least.
OURS = {
    "activations": f"{LAYER}/part-{HEX}.parquet",
    "a small table": f"networks/part-{HEX}{HEX}.parquet",
    "results": f"results/selectivity/network=planted/part-{HEX}{HEX}.parquet",
    "a saved result": f"results/saved/means/run_id=r/part-{HEX}{HEX}.parquet",
    "a first save": f"results/saved/never/run_id=r/part-{HEX}{HEX}.parquet",
    "a file being written": f"{LAYER}/.part-.parquet.{HEX}.partial",
    "a catalog": f".catalog.duckdb.{HEX}.partial",
    "a catalog's log": f".catalog.duckdb.{HEX}.partial.wal",
    "an image": f"images/ab/.ab.{HEX}.partial",
    "a record of this machine": f".local/.image_roots.json.{HEX}.partial",
}
OTHERS = {
    "another client's": f"{LAYER}/part-00000-{HEX}-c000.snappy.parquet",
    "another client's, begun": f"{LAYER}/part-00000-{HEX}-c000.snappy.parquet#1",
    "an earlier version's": f"networks/part-00001-{HEX}-c000.zstd.parquet",
    "a commit": "activations/_delta_log/00000000000000000099.json#1",
    "a commit elsewhere": f"runs/_delta_log/_commit_{HEX}.json.tmp",
    "a commit of a saved result": "results/saved/means/_delta_log/00000000000000000099.json#2",
    "a commit of Spark": f"stimuli/_delta_log/.00000000000000000099.json.{HEX}.tmp",
    "a checkpoint": "runs/_delta_log/00000000000000000010.checkpoint.parquet#1",
    "spill": ".local/spill/duckdb_temp_123_0_storage_DEFAULT-0.tmp",
    "whose spill": ".local/spill/duckdb_temp_123_0_owner",
    "scratch": ".local/scratch/tmp2k3j4",
}
KEPT = (
    "README.md",
    "reports/notes.parquet",
    "networks/notes.txt",
    "results/saved/Not One Of Ours/part-1.parquet",
    "activations/_change_data/cdc-1.parquet",
    "activations/_delta_log/_sidecars/1.parquet",
)


def plant(wh: Warehouse, path: str, hours: float = 0) -> Path:
    """Write a file that was changed some hours ago."""
    file = Path(wh.location, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"left behind")
    age(file, hours)
    return file


def age(file: Path, hours: float) -> None:
    then = time.time() - hours * HOUR
    os.utime(file, (then, then))


def tree(wh: Warehouse) -> dict[str, bytes]:
    """Every file, but for the locks."""
    root = Path(wh.location)
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return {path: content for path, content in found.items() if "/locks/" not in path}


def paths(found: vacuum.Found) -> list[str]:
    return [orphan.path for orphan in found.orphans]


@pytest.mark.parametrize("path", [*OURS.values(), *OTHERS.values()], ids=[*OURS, *OTHERS])
def test_a_file_of_each_kind_goes_when_it_is_old_enough(damaged: Warehouse, path: str) -> None:
    before = tree(damaged)
    file = plant(damaged, path, 23)
    assert paths(vacuum.vacuum(damaged.storage)) == []
    assert paths(find(damaged.storage, 22)) == ([path] if path in OURS.values() else [])
    age(file, 25)
    assert paths(vacuum.vacuum(damaged.storage, 26)) == []
    assert file.exists()
    found = vacuum.vacuum(damaged.storage)
    assert found == vacuum.Found([vacuum.Orphan(path, len(b"left behind"))], {})
    assert tree(damaged) == before


def test_without_an_age_only_what_is_written_under_the_lock_goes(damaged: Warehouse) -> None:
    before = tree(damaged)
    ours, others = ([plant(damaged, path) for path in x.values()] for x in (OURS, OTHERS))
    assert paths(vacuum.vacuum(damaged.storage, 0)) == sorted(OURS.values())
    assert [file.exists() for file in (*ours, *others)] == [False] * len(ours) + [True] * len(
        others
    )
    assert tree(damaged).keys() == before.keys() | set(OTHERS.values())


def test_what_is_needed_stays_however_old_it_is(damaged: Warehouse) -> None:
    for path in KEPT:
        plant(damaged, path)
    damaged.rebuild_catalog()
    before = tree(damaged)
    for path in before:
        age(Path(damaged.location, path), 24 * 400)
    assert vacuum.vacuum(damaged.storage, 0) == vacuum.Found([], {})
    assert tree(damaged) == before
    assert len(before) > 60
    assert verify(damaged.storage).faults == []


@pytest.mark.parametrize("hours", [-1.0, float("nan")])
def test_an_age_that_is_none_is_refused(damaged: Warehouse, hours: float) -> None:
    with pytest.raises(BadInput, match="at least 0 hours"):
        find(damaged.storage, hours)


# Of a table, the files that are in it, and one of them is taken out.


def newest_commit(wh: Warehouse, table: str) -> Path:
    return files(wh, f"{table}/_delta_log/*.json")[-1]


def by_repair(wh: Warehouse) -> None:
    removal.take_out(wh.storage, "activations", delta.files(table(wh))["path"].to_list())


def by_another_client(wh: Warehouse) -> None:
    DeltaTable(f"{wh.location}/activations").optimize.z_order(["stimulus_id"])


def table(wh: Warehouse) -> DeltaTable:
    return delta.open_table(wh.storage, "activations")


@pytest.mark.parametrize("take_out", [by_repair, by_another_client])
@pytest.mark.parametrize("clock", [-400 * 24, 0, 400 * 24])
def test_what_was_taken_out_goes_when_that_is_old_whatever_the_clock_said(
    damaged: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    take_out: Callable[[Warehouse], None],
    clock: int,
) -> None:
    old = files(damaged, "activations/*/**/*.parquet")
    assert len(old) == 2
    for file in files(damaged, "activations/**/*"):
        age(file, 100)
    now = time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now() + clock * vacuum._HOUR)
        take_out(damaged)
    assert paths(vacuum.vacuum(damaged.storage)) == []
    assert paths(vacuum.vacuum(damaged.storage, 1)) == []
    age(newest_commit(damaged, "activations"), 2)
    expected = [str(file.relative_to(damaged.location)) for file in old]
    assert paths(vacuum.vacuum(damaged.storage, 1)) == expected
    assert [file.exists() for file in old] == [False, False]
    # What another client wrote in their place is all there.
    assert all(Path(uri).exists() for uri in table(damaged).file_uris())


def test_what_was_taken_out_goes_at_once_if_that_is_asked_for(damaged: Warehouse) -> None:
    by_repair(damaged)
    assert len(vacuum.vacuum(damaged.storage, 0).orphans) == 2


def test_what_came_back_into_a_table_stays(damaged: Warehouse) -> None:
    expected = damaged.matrix(*HERE).values
    version = table(damaged).version()
    by_repair(damaged)
    DeltaTable(f"{damaged.location}/activations").restore(version)
    for file in files(damaged, "activations/**/*"):
        age(file, 100)
    assert vacuum.vacuum(damaged.storage, 0) == vacuum.Found([], {})
    assert (Warehouse(damaged.location).matrix(*HERE).values == expected).all()


# A log that does not tell which files its table needs.


def break_a_line(wh: Warehouse) -> str:
    commit = newest_commit(wh, "activations")
    commit.write_bytes(commit.read_bytes().replace(b'"add"', b'"adf"'))
    return "activations"


def flip_a_name(wh: Warehouse) -> str:
    commit = newest_commit(wh, "activations")
    flip(commit, 8 * (commit.read_bytes().index(b"part-") + 6))
    return "activations"


def lose_a_commit(wh: Warehouse) -> str:
    files(wh, "runs/_delta_log/*.json")[1].unlink()
    return "runs"


def lose_the_log(wh: Warehouse) -> str:
    for file in files(wh, "results/selectivity/_delta_log/*"):
        file.unlink()
    return "results/selectivity"


def lose_the_log_of_what_was_saved(wh: Warehouse) -> str:
    for file in files(wh, "results/saved/means/_delta_log/*"):
        file.unlink()
    return "results/saved/means"


HARMS = [
    *(break_a_line, flip_a_name, lose_a_commit),
    *(lose_the_log, lose_the_log_of_what_was_saved),
]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_nothing_is_deleted_of_a_table_whose_log_does_not_tell(
    damaged: Warehouse, harm: Callable[[Warehouse], str]
) -> None:
    name = harm(damaged)
    before = tree(damaged)
    there = {
        path: plant(damaged, path, 1000)
        for path in (
            *(f"{name}/part-{HEX}{HEX}.parquet", f"{name}/.x.{HEX}.partial"),
            *(f"{name}/_delta_log/1.json#1", "landmarks/" + f"part-{HEX}{HEX}.parquet"),
        )
    }
    for path in before:
        age(Path(damaged.location, path), 1000)
    found = vacuum.vacuum(damaged.storage, 0)
    assert paths(found) == [f"landmarks/part-{HEX}{HEX}.parquet"]
    assert list(found.spared) == [name]
    assert f"Nothing of the table {name} is deleted" in found.spared[name]
    kept = {path: file.read_bytes() for path, file in there.items() if path.startswith(name)}
    assert tree(damaged) == before | kept


def test_where_no_runs_can_be_read_a_save_may_have_been_one(damaged: Warehouse) -> None:
    first = plant(damaged, OURS["a first save"], 1000)
    for commit in files(damaged, "runs/_delta_log/*.json"):
        commit.write_bytes(b"no log")
    found = vacuum.vacuum(damaged.storage, 0)
    assert (paths(found), set(found.spared)) == ([], {"runs", "results/saved/never"})
    assert first.exists()


def test_the_command_says_what_it_spared_and_deletes_the_rest(
    damaged: Warehouse, forked: Forked
) -> None:
    break_a_line(damaged)
    for name in ("activations", "a small table"):
        plant(damaged, OURS[name], 1000)
    done = forked("-w", damaged.location, "vacuum", "-f", "json")
    rows = [{"file": OURS["a small table"], "bytes": 11}]
    assert (done.code, json.loads(done.stdout)) == (0, rows)
    spared, total = done.stderr.splitlines()
    assert spared.startswith("Nothing of the table activations is deleted: ")
    assert "is not as it was made" in spared
    assert spared.endswith("Run: fexp verify")
    assert total == "1 files of 0.0 MB were deleted."


# Others who write or have begun to.


def test_it_waits_for_a_writer_and_gives_up_in_the_end(
    damaged: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum, "_PATIENCE", 0.2)
    orphan, told = plant(damaged, OURS["activations"], 1000), []
    with damaged.storage.writing(), pytest.raises(Conflict, match="try again when they have ended"):
        vacuum.vacuum(damaged.storage, 0, lambda: told.append(1))
    assert (told, orphan.exists()) == ([1], True)
    vacuum.vacuum(damaged.storage, 0, lambda: told.append(2))
    assert (told, orphan.exists()) == ([1], False)


def test_the_command_says_once_that_it_waits_and_then_that_it_gave_up(
    damaged: Warehouse, forked: Forked
) -> None:
    for path in OURS.values():
        plant(damaged, path, 1000)
    before = tree(damaged)
    with damaged.storage.writing():
        done = forked("-w", damaged.location, "vacuum", "--older-than", "0")
        assert (done.code, done.stdout) == (1, b"")
        waiting, gave_up = done.stderr.splitlines()
        assert waiting == "Waiting for other processes to finish writing …"
        assert gave_up.startswith("Error: Other processes are writing to this warehouse")
        assert done.seconds > 10
        # Looking is allowed.
        listed = forked("-w", damaged.location, "vacuum", "--dry-run", "-f", "json")
        assert {row["file"] for row in json.loads(listed.stdout)} == set(OURS.values())
    assert tree(damaged) == before


def test_files_of_a_writer_are_no_orphans_in_the_status(damaged: Warehouse) -> None:
    for path in (*OURS.values(), *OTHERS.values()):
        plant(damaged, path)
    assert "orphans" not in set(status(damaged.storage).kinds["kind"])
    for path in (*OURS.values(), *OTHERS.values()):
        age(Path(damaged.location, path), 25)
    orphans = status(damaged.storage).kinds.filter(kind="orphans")
    count = len(OURS) + len(OTHERS)
    assert orphans.rows() == [("orphans", count, count * len(b"left behind"))]


class Killed(BaseException):
    pass


def killed(*_arguments: object, **_options: object) -> None:
    raise Killed


def test_a_first_save_that_was_killed_is_neither_there_nor_lost(
    damaged: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(delta, "create_at", killed)  # after the file is written
        patch.setattr(commits, "discard", killed)  # nobody is left to do this
        with pytest.raises(Killed):
            saved.save(damaged, "mine", "SELECT 1 AS x", {})
    (left,) = files(damaged, "results/saved/mine/**/*.parquet")
    assert verify(damaged.storage).faults == []
    assert status(damaged.storage).broken == {}
    assert paths(find(damaged.storage)) == []
    assert paths(vacuum.vacuum(damaged.storage, 0)) == [str(left.relative_to(damaged.location))]
    saved.save(damaged, "mine", "SELECT 2 AS x", {})
    assert damaged.query("SELECT x FROM saved.mine").rows() == [(2,)]


def test_a_table_of_which_the_first_commit_has_begun_is_made_again(damaged: Warehouse) -> None:
    folder = Path(damaged.location, "results", "similarity", "_delta_log")
    (only,) = folder.iterdir()
    only.rename(folder / f"{only.name}#1")
    assert delta.open_table(damaged.storage, "results/similarity").version() == 0
    assert damaged.query("FROM similarity").height == 0

"""`fexp upgrade`: the same rows in files that are named by their bytes, whatever happens."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from support.bare import bare
from support.older import ADDED, make_older
from support.writing import Fexp

from benchmarks.damage import flip, random_bit
from fexp_store import Conflict, Warehouse
from fexp_store.warehouse import commits, contents, delta, parts, root
from fexp_store.warehouse.upgrade import upgrade
from fexp_store.warehouse.verify.verify import verify

Rows = dict[str, list[str]]


@pytest.fixture(scope="module")
def made(furnished: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of format 1 with something of every kind; tests only copy it."""
    path = tmp_path_factory.mktemp("older") / "made-here"
    shutil.copytree(furnished.location, path)
    make_older(Warehouse(path))
    return path


@pytest.fixture
def older(made: Path, tmp_path: Path) -> Warehouse:
    shutil.copytree(made, tmp_path / "copied-there")
    return Warehouse(tmp_path / "copied-there")


def rows(location: str | Path) -> Rows:
    """All rows of all small tables as Delta Lake reads them, but for columns of later versions."""
    found = {}
    for name in folders(location):
        table = DeltaTable(Path(location, name)).to_pyarrow_table()
        kept = [column for column in table.column_names if column not in ADDED.get(name, [])]
        some = sorted(repr(sorted(row.items())) for row in table.select(kept).to_pylist())
        if some:
            found[name] = some
    return found


def folders(location: str | Path) -> list[str]:
    logs = Path(location).rglob("_delta_log")
    names = (log.parent.relative_to(location).as_posix() for log in logs)
    return sorted(name for name in names if name != "activations")


def live(location: str | Path) -> list[Path]:
    """The files of small tables that their logs name."""
    tables = (DeltaTable(Path(location, name)) for name in folders(location))
    return [Path(uri) for table in tables for uri in table.file_uris()]


def logs(location: str | Path) -> dict[str, bytes]:
    root = Path(location)
    paths = (path for path in root.rglob("_delta_log/*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def naming(location: str | Path, place: Path) -> list[str]:
    """The files that hold a place, but for what belongs to this machine."""
    texts = (str(place).encode(), str(place.parent).encode())
    return [
        str(path)
        for path in Path(location).rglob("*")
        if path.is_file() and ".local" not in path.parts
        if any(text in path.read_bytes() for text in texts)
    ]


def named_by_bytes(path: Path) -> bool:
    return path.name == f"part-{sha256(path.read_bytes()).hexdigest()}.parquet"


def test_every_row_stays_and_every_file_is_named_by_its_bytes(older: Warehouse) -> None:
    before = rows(older.location)
    identity = json.loads(Path(older.location, "warehouse.json").read_text())["warehouse_id"]
    matrix = older.matrix("planted", "other", "faces").values.tobytes()
    assert not any(map(named_by_bytes, live(older.location)))
    done = upgrade(older.storage)
    assert (done.before, done.after, done.broken) == (1, root.FORMAT_VERSION, {})
    assert rows(older.location) == before
    assert {"stimuli", "networks", "fragments", "runs"} < before.keys()
    assert {"results/selectivity", "results/saved/means"} < before.keys()
    assert all(map(named_by_bytes, live(older.location)))
    assert done.tables["files"].sum() == len(live(older.location))
    marker = json.loads(Path(older.location, "warehouse.json").read_text())
    assert marker == {"format_version": root.FORMAT_VERSION, "warehouse_id": identity}
    assert older.matrix("planted", "other", "faces").values.tobytes() == matrix


def test_all_is_verified_afterwards(older: Warehouse) -> None:
    report = verify(older.storage)
    assert (report.faults, len(report.unverified)) == ([], len(live(older.location)))
    upgrade(older.storage)
    report = verify(older.storage)
    assert (report.faults, report.unverified) == ([], [])


def test_tables_and_columns_of_later_versions_are_there(older: Warehouse) -> None:
    upgrade(older.storage)
    assert set(delta.names()) <= {*folders(older.location), "activations"}
    for name, columns in ADDED.items():
        table = DeltaTable(older.storage.uri(name)).to_pyarrow_table()
        assert all(table[column].null_count == table.num_rows for column in columns)


def test_answers_are_the_same_and_a_bare_client_gets_them(older: Warehouse) -> None:
    queries = ("SELECT * FROM selectivity ORDER BY ALL", "SELECT * FROM saved.means ORDER BY ALL")
    before = [older.frame(query).rows() for query in queries]
    assert all(before)
    upgrade(older.storage)
    assert [older.frame(query).rows() for query in queries] == before
    with bare(older.location) as plain:
        assert [plain.sql(query).fetchall() for query in queries] == before


def test_no_file_names_the_place_where_it_was_made(older: Warehouse, made: Path) -> None:
    before = logs(older.location)
    assert len(naming(older.location, made)) > 10
    upgrade(older.storage)
    assert naming(older.location, made) == naming(older.location, Path(older.location)) == []
    after = logs(older.location)
    for path, content in before.items():
        was, now = content.split(b"\n"), after[path].split(b"\n")
        assert len(was) == len(now)
        changed = [(a, b) for a, b in zip(was, now, strict=True) if a != b]
        assert all(b"commitInfo" in line for line, _ in changed)
        for line, other in changed:
            said, says = (json.loads(x)["commitInfo"] for x in (line, other))
            assert str(made) in said["operationParameters"].pop("location")
            assert says["operationParameters"].pop("location") == path.split("/_delta_log")[0]
            assert said == says


def test_entries_keep_the_time_of_their_version(older: Warehouse) -> None:
    entry = Path(older.location, "stimuli/_delta_log", f"{0:020}.json")
    os.utime(entry, ns=(10**18, 10**18))
    content = entry.read_bytes()
    upgrade(older.storage)
    assert entry.read_bytes() != content
    assert entry.stat().st_mtime_ns == 10**18


def test_a_second_run_changes_nothing(older: Warehouse) -> None:
    upgrade(older.storage)
    paths = [path for path in Path(older.location).rglob("*") if path.is_file()]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}
    done = upgrade(older.storage)
    assert done.tables.is_empty()
    assert done.before == done.after == root.FORMAT_VERSION
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in before} == before
    assert {path for path in Path(older.location).rglob("*") if path.is_file()} == {*before}


def test_what_recent_code_wrote_is_only_marked(damaged: Warehouse) -> None:
    marker = Path(damaged.location, "warehouse.json")
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"format_version": 2}))
    before = logs(damaged.location)
    done = upgrade(damaged.storage)
    assert (done.tables.height, done.before, done.after) == (0, 2, root.FORMAT_VERSION)
    assert logs(damaged.location) == before


def test_an_older_warehouse_that_is_written_to_keeps_its_format(older: Warehouse) -> None:
    older.put("planted", "third", "faces", older.matrix("planted", "other", "faces").values)
    assert root.format_version(older.storage) == 1
    before = rows(older.location)
    upgrade(older.storage)
    assert rows(older.location) == before
    assert all(map(named_by_bytes, live(older.location)))


def test_flips_that_were_not_found_are_found_afterwards(older: Warehouse) -> None:
    def unfound(count: int) -> int:
        rng, number = random.Random(5), 0
        (path, *_) = (p for p in live(older.location) if p.parent.name == "stimuli")
        for _ in range(count):
            content = path.read_bytes()
            flip(path, random_bit(path, rng))
            number += not verify(older.storage, quick=True).faults
            path.write_bytes(content)
        return number

    assert unfound(6) > 0
    upgrade(older.storage)
    assert unfound(6) == 0


def test_text_that_is_none_is_not_written_anew(older: Warehouse) -> None:
    (path, *_) = (p for p in live(older.location) if p.parent.name == "networks")
    content = path.read_bytes()
    assert content.count(b"planted") > 1
    path.write_bytes(content.replace(b"planted", b"\xff\xfelanted"[:7]))
    done = upgrade(older.storage)
    assert path.name in done.broken["networks"]
    assert path in live(older.location)


def test_a_damaged_table_is_named_and_left_and_the_others_are_upgraded(older: Warehouse) -> None:
    networks, runs = (
        next(p for p in live(older.location) if p.parent.name == name)
        for name in ("networks", "runs")
    )
    networks.write_bytes(networks.read_bytes()[:-10])
    whole = runs.read_bytes()
    runs.unlink()
    before = {n: x for n, x in logs(older.location).items() if n.startswith(("networks", "runs"))}
    done = upgrade(older.storage)
    assert done.broken.keys() == {"networks", "runs"}
    assert runs.name in done.broken["runs"]
    assert (done.before, done.after, root.format_version(older.storage)) == (1, 1, 1)
    after = logs(older.location)
    assert {name: after[name] for name in before} == before
    others = (p for p in live(older.location) if p.parent.name not in ("networks", "runs"))
    assert all(map(named_by_bytes, others))
    runs.write_bytes(whole)
    assert upgrade(older.storage).broken.keys() == {"networks"}


Meanwhile = Callable[[Path], object]


def append(stimuli: Path) -> None:
    """What an earlier version, which knows no lock, does to a table."""
    row = DeltaTable(stimuli).to_pyarrow_table().slice(0, 1)
    columns = row.schema.names.index("stimulus_set")
    row = row.set_column(columns, row.schema.field(columns), pa.array(["late"]))
    write_deltalake(stimuli, row, mode="append")


def compact(stimuli: Path) -> None:
    assert DeltaTable(stimuli).optimize.compact()["numFilesRemoved"] == 2


@pytest.mark.parametrize("meanwhile", [append, compact])
def test_what_others_commit_meanwhile_stays(
    older: Warehouse, monkeypatch: pytest.MonkeyPatch, meanwhile: Meanwhile
) -> None:
    stimuli, commit, done = Path(older.storage.uri("stimuli")), commits.commit, []
    before = rows(older.location)["stimuli"]

    def later(storage: Any, folder: str, *more: Any) -> None:
        if folder == "stimuli" and not done:
            done.append(meanwhile(stimuli))
        commit(storage, folder, *more)

    monkeypatch.setattr(commits, "commit", later)
    upgrade(older.storage)
    assert len(done) == 1
    after = rows(older.location)["stimuli"]
    assert len(after) == len(before) + (meanwhile is append)
    assert set(before) <= set(after)
    named = {path.name for path in stimuli.glob("part-*") if parts.digest_in(path.name)}
    assert named <= {path.name for path in live(older.location)}
    monkeypatch.setattr(commits, "commit", commit)
    upgrade(older.storage)
    assert all(map(named_by_bytes, live(older.location)))
    assert rows(older.location)["stimuli"] == after


def test_nobody_else_writes_meanwhile(older: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fexp_store.warehouse.upgrade._PATIENCE", 0.1)
    before, told = logs(older.location), []
    with older.storage.writing(), pytest.raises(Conflict, match="writing to this warehouse"):
        upgrade(older.storage, lambda: told.append(1))
    assert told == [1]
    assert logs(older.location) == before


VICTIM = """
import os, signal, sys, time
from fexp_store import Warehouse
from fexp_store.warehouse.upgrade import upgrade
for line in sys.stdin:
    path, seconds = line.split()
    child = os.fork()
    if not child:
        upgrade(Warehouse(path).storage)
        os._exit(0)
    time.sleep(float(seconds))
    os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""
KILLS = 20


@pytest.fixture
def killed() -> Iterator[Callable[[Path, float], bool]]:
    """Upgrade a warehouse in a process that is killed; give whether it was not done by then."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", VICTIM], stdin=pipe, stdout=pipe, text=True) as it:

        def run(path: Path, seconds: float) -> bool:
            assert it.stdin is not None
            assert it.stdout is not None
            it.stdin.write(f"{path} {seconds}\n")
            it.stdin.flush()
            return int(it.stdout.readline()) != 0

        yield run
        it.kill()


@pytest.mark.slow
def test_killed_at_any_moment_all_rows_are_there_and_the_next_run_goes_on(
    made: Path, tmp_path: Path, killed: Callable[[Path, float], bool]
) -> None:
    before, rng, began = rows(made), random.Random(3), time.monotonic()
    shutil.copytree(made, tmp_path / "whole")
    upgrade(Warehouse(tmp_path / "whole").storage)
    duration, count, formats, states = time.monotonic() - began, 0, set(), set()
    path = tmp_path / "again"
    while count < KILLS:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(made, path)
        count += killed(path, rng.uniform(0, duration))
        wh = Warehouse(path)
        assert contents.read(wh.storage).broken == {}
        assert rows(path) == before
        formats.add(root.format_version(wh.storage))
        states.add(sum(map(named_by_bytes, live(path))))
        if count % 5 == 0:
            assert upgrade(wh.storage).after == root.FORMAT_VERSION
            assert rows(path) == before
            assert all(map(named_by_bytes, live(path)))
            assert verify(wh.storage).faults == []
    assert 1 in formats
    assert len(states) > 2  # some were killed between one table and another


def test_the_command_says_what_it_did(fexp: Fexp, older: Warehouse) -> None:
    done = fexp("-w", older.location, "upgrade", "-f", "json")
    assert done.returncode == 0, done.stderr
    files = {row["table"]: row["files"] for row in json.loads(done.stdout)}
    assert files["stimuli"] == 2
    assert f"format 1 became {root.FORMAT_VERSION}" in done.stderr
    again = fexp("-w", older.location, "upgrade", "-f", "json")
    assert (again.returncode, json.loads(again.stdout)) == (0, [])
    assert "nothing is to be done" in again.stderr

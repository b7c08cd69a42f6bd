"""A warehouse of somebody else, which can only be read: reading commands work, others say so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.read_only import as_reader, read_only

from fexp_store import Warehouse
from fexp_store.warehouse import saved

pytestmark = pytest.mark.slow

PLACE = ["--network", "dlib", "--layer", "embedding", "--stimuli", "set1"]
READING = {
    "sql": ["sql", "SELECT layer, sum(activation) FROM activations GROUP BY ALL ORDER BY ALL"],
    "a shell": ["sql"],
    "query": ["query", "{tmp}/mine.sql"],
    "log": ["log"],
    "status": ["status"],
    "verify": ["verify", "--format", "csv"],
    "verify --quick": ["verify", "--quick"],
    "export": ["export", *PLACE, "--to", "{cache}/{who}.npz"],
    "responses compare": ["responses", "compare"],
    "study check": ["study", "check", "{tmp}/study.toml"],
    "stimuli list": ["stimuli", "list"],
    "stimuli show": ["stimuli", "show", "set1"],
    "networks list": ["networks", "list"],
    "networks show": ["networks", "show", "dlib"],
    "networks layers": ["networks", "layers", "dlib"],
    "ingest --explain": ["ingest", *PLACE, "--explain"],
    "ingest --dry-run": ["ingest", *PLACE, "--dry-run"],
    "ingest of what is stored": ["ingest", *PLACE],
    "vacuum --dry-run": ["vacuum", "--dry-run"],
}
WRITING = {
    "index": ["index"],
    "vacuum": ["vacuum"],
    "upgrade": ["upgrade"],
    "select": ["select", *PLACE],
    "decode": ["decode", *PLACE, "--units", "all", "--shuffles", "0"],
    "ingest": ["ingest", "--network", "dlib", "--layer", "conv5_1", "--stimuli", "set1"],
    "stimuli add": ["stimuli", "add", "set2", "{tmp}/photographs/manifest.csv"],
    "stimuli render": ["stimuli", "render", "set3", "--identities", "1"],
    "networks add": ["networks", "add", "new", "--architecture", "dlib_face", "--untrained"],
    "query --save": ["query", "{tmp}/mine.sql", "--save", "mine"],
}


class Reader:
    """Runs commands as somebody who can read a warehouse and not write it."""

    def __init__(self, warehouse: Path, cache: Path) -> None:
        self.warehouse, self.home = warehouse, warehouse.parent
        self.environment = {**os.environ, "FEXP_CACHE": str(cache), "HOME": str(self.home)}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one."""
        return self._run(as_reader(), self.warehouse, arguments)

    def owner(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one on a copy, as whose warehouse it is."""
        return self._run([], self.home / "copy", arguments)

    def _run(
        self, prefix: list[str], warehouse: Path, arguments: tuple[str, ...]
    ) -> subprocess.CompletedProcess[str]:
        command = [*prefix, sys.executable, "-m", "fexp_store.cli", "-w", str(warehouse)]
        places = {"tmp": self.home, "cache": self.environment["FEXP_CACHE"], "who": warehouse.name}
        filled = [a.format(**places) if "{" in a else a for a in arguments]
        return subprocess.run(
            [*command, *filled],
            input="FROM networks;\n",
            capture_output=True,
            text=True,
            cwd=self.home,
            env=self.environment,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def reader(ingested: Warehouse) -> Iterator[Reader]:
    """Reads a copy of a warehouse; of what is on the disk, only a cache of its own is writable."""
    with TemporaryDirectory() as folder:  # pytest's own let nobody else in
        home = Path(folder)
        home.chmod(0o755)
        yield from _prepared(home, ingested)


def _prepared(home: Path, ingested: Warehouse) -> Iterator[Reader]:
    shutil.copytree(ingested.location, home / "warehouse")
    shutil.copytree(Path(ingested.location).with_name("photographs"), home / "photographs")
    (home / "mine.sql").write_text("SELECT network, max(unit_id) AS n FROM units GROUP BY network")
    (home / "study.toml").write_text('[[networks]]\nname = "dlib"\nlayers = ["embedding"]\n')
    cache = home / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    orphan = home / "warehouse" / "activations" / "part-of-a-killed-ingest.parquet"
    orphan.touch()
    os.utime(orphan, (0, 0))
    saved.save(Warehouse(home / "warehouse"), "kept", "SELECT 1 AS x", {})
    shutil.copytree(home / "warehouse", home / "copy")
    with read_only(home / "warehouse"):
        yield Reader(home / "warehouse", cache)


@pytest.mark.parametrize("command", READING.values(), ids=READING)
def test_reading_commands_work(reader: Reader, command: list[str]) -> None:
    before = tree(reader.warehouse)
    done = reader(*command)
    assert done.returncode == 0, done.stderr
    assert without_bytes(done.stdout) == without_bytes(reader.owner(*command).stdout)
    assert tree(reader.warehouse) == before


@pytest.mark.parametrize("command", [READING["sql"], READING["a shell"]], ids=["sql", "a shell"])
def test_reading_commands_work_without_a_cache(reader: Reader, command: list[str]) -> None:
    before = tree(reader.warehouse)
    done = Reader(reader.warehouse, reader.home / "nowhere")(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout == reader(*command).stdout
    assert tree(reader.warehouse) == before
    assert not (reader.home / "nowhere").exists()


@pytest.mark.parametrize("command", WRITING.values(), ids=WRITING)
def test_writing_commands_say_that_it_can_only_be_read(reader: Reader, command: list[str]) -> None:
    before = tree(reader.warehouse)
    done = reader(*command)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert "can only be read" in done.stderr
    assert tree(reader.warehouse) == before


def without_bytes(text: str) -> str:
    """Without numbers of bytes: free space and memory change by themselves."""
    return re.sub(r"\d{7,}", "bytes", text)


def tree(root: Path) -> dict[Path, tuple[int, int]]:
    """Every file below a directory, with when it was changed."""
    return {p: (p.lstat().st_size, p.lstat().st_mtime_ns) for p in root.rglob("*")}

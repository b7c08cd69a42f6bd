"""Disks that are full, and places that may not be written: one sentence, and nothing is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from support.forked import Done, Forked
from support.writing import state, write_photographs

from fexp_store import Warehouse

LAYER = ("-n", "dlib", "-l", "conv4_3", "-s", "set1")
WRITING: dict[str, tuple[str, ...]] = {
    "init": ("-w", "new", "init"),
    "index": ("index",),
    "stimuli add": ("stimuli", "add", "new", "photographs/manifest.csv", "--copy"),
    "stimuli prepare": ("stimuli", "prepare", "set1", "new", "--greyscale"),
    "stimuli show --sheet": ("stimuli", "show", "set1", "--sheet", "sheet.png"),
    "networks add": ("networks", "add", "new", "--architecture", "dlib_face", "--untrained"),
    "ingest": ("ingest", "-n", "dlib", "-l", "conv5_1", "-s", "set1"),
    "import": ("import", "x.npy", "-n", "new", "-l", "x", "-s", "set1", "--source", "here"),
    "export": ("export", *LAYER, "--to", "out.npz"),
    "select": ("select", *LAYER),
    "query --save": ("query", "mine.sql", "--save", "mine"),
    "study init": ("study", "init", "study.toml"),
    "study run": ("study", "run", "declared.toml"),
    "responses add": ("responses", "add", "responses.csv", "--study", "ours"),
}
STUDY = """
[[sets]]
name = "new"
manifest = "photographs/manifest.csv"
[[networks]]
name = "dlib"
layers = ["conv5_1"]
"""


class Place:
    """A folder with a warehouse and everything that commands are given."""

    def __init__(self, folder: Path, sound: Warehouse) -> None:
        self.folder, self.path = folder, folder / "warehouse"
        shutil.copytree(sound.location, self.path)
        write_photographs(folder / "photographs", 1)
        np.save(folder / "x.npy", np.random.default_rng(0).random((48, 9000), np.float32))
        (folder / "mine.sql").write_text("FROM activations LIMIT 100000")
        (folder / "responses.csv").write_text("depicted,anger,fear\nanger,3,1\nfear,1,3\n")
        (folder / "declared.toml").write_text(STUDY)

    def content(self) -> tuple[object, ...]:
        """Versions of tables and all files, but for records of this machine and the catalog."""
        files = {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and ".local" not in path.parts and "catalog.duckdb" not in path.name
        }
        return state(Warehouse(self.path)), files

    def run(self, forked: Forked, command: tuple[str, ...], **limits: object) -> Done:
        at = () if command[0] == "-w" else ("-w", self.path)
        return forked(*at, *command, cwd=self.folder, **limits)  # type: ignore[arg-type]


@pytest.fixture
def place(ingested: Warehouse, tmp_path: Path) -> Place:
    return Place(tmp_path, ingested)


@pytest.mark.parametrize("size", [0, 2_000, 20_000])
@pytest.mark.parametrize("command", WRITING)
def test_a_file_that_may_not_grow_is_told_and_nothing_is_changed(
    command: str, size: int, place: Place, forked: Forked
) -> None:
    before = place.content()
    done = place.run(forked, WRITING[command], fsize=size)
    if size and done.code == 0:  # it needs no more
        return
    assert done.code == 1
    assert "may not grow as large as is needed" in done.sentence
    assert place.content() == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_told_and_nothing_is_changed(
    small_disk: Path, ingested: Warehouse, forked: Forked
) -> None:
    place = Place(small_disk, ingested)
    before = place.content()
    wrong = {}
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    before[1].add("filler")  # type: ignore[attr-defined]
    for command, words in WRITING.items():
        done = place.run(forked, words)
        told = done.stderr.count("\n") == 1 and "free some space" in done.stderr
        if done.code != 1 or not told or place.content() != before:
            wrong[command] = done
    assert wrong == {}


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
@pytest.mark.parametrize("command", WRITING)
def test_a_place_that_may_not_be_written_is_told(
    command: str, place: Place, forked: Forked
) -> None:
    before = place.content()
    folders = [place.folder, *(p for p in place.folder.rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        done = place.run(forked, WRITING[command], ordinary=True)
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert done.code == 1
    assert any(words in done.sentence for words in ("can only be read", "may not read or write"))
    assert place.content() == before

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
from support.commands import commands
from support.forked import Done, Forked
from support.planted import add_network, morph_rows, plant, register_rows
from support.writing import state, write_photographs

from fexp_store import Warehouse
from fexp_store.analyses import analysis
from fexp_store.outputs import MARKER
from fexp_store.stimuli.make import make_set
from fexp_store.stimuli.recipe import Rendering
from fexp_store.warehouse import place as places
from fexp_store.warehouse import root

ANALYSED = ("-n", "sim", "-l", "planted", "-s", "set1")
LAYER = ("-n", "dlib", "-l", "conv4_3", "-s", "set1")
MORPHS = ("--levels", "3")
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
    "reliability": ("reliability", *LAYER),
    "tune": ("tune", *ANALYSED),
    "decode": ("decode", *ANALYSED, "--shuffles", "1"),
    "confuse": ("confuse", *ANALYSED),
    "rsa": ("rsa", *ANALYSED),
    "categorize": ("categorize", *ANALYSED, "--morphs", "morphs"),
    "compare": ("compare", "sim:planted", "sim:other", "-s", "set1"),
    "stimuli render": ("stimuli", "render", "new", "--identities", "1"),
    "stimuli morph": (
        "stimuli",
        "morph",
        "rendered",
        "new",
        "--continua",
        "anger-fear",
        "--levels",
        "3",
    ),
    "upgrade": ("upgrade",),
    "verify --repair": ("verify", "--repair"),
    "demo": ("demo",),
    "query --save": ("query", "mine.sql", "--save", "mine"),
    "study init": ("study", "init", "study.toml"),
    "study run": ("study", "run", "declared.toml"),
    "responses add": ("responses", "add", "responses.csv", "--study", "ours"),
}
FREEING = {"vacuum"}
READING = {
    *("log", "status", "verify", "sql", "query", "stimuli list", "stimuli show", "study check"),
    *("networks list", "networks show", "networks layers", "responses compare"),
}
STEPS = {"demo", "verify --repair"}  # of several steps, those that were done stay done
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
        marker = self.path / MARKER
        marker.write_text(marker.read_text().replace(f": {root.FORMAT_VERSION},", ": 2,"))
        assert root.format_version(Warehouse(self.path).storage) == 2
        write_photographs(folder / "photographs", 1)
        np.save(folder / "x.npy", np.random.default_rng(0).random((48, 9000), np.float32))
        (folder / "mine.sql").write_text("FROM activations WHERE layer <> 'lost' LIMIT 100000")
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


@pytest.fixture(scope="session")
def analysed(ingested: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with what every command needs, and a file that is gone."""
    shutil.copytree(ingested.location, path := tmp_path_factory.mktemp("analysed") / "warehouse")
    wh, rng = Warehouse(path), np.random.default_rng(0)
    add_network(wh, "sim", 30, layers=("planted", "other"))
    people = [f"p{number}" for number in range(8)]
    register_rows(wh, "morphs", morph_rows(people, [("anger", "fear")], [0, 0.5, 1]))
    plant(wh, "sim", "morphs", rng.normal(size=(24, 30)))
    for layer in ("planted", "other"):
        values = rng.normal(size=(48, 30)) + 9 * (np.arange(48)[:, None] % 6 == np.arange(30) % 6)
        plant(wh, "sim", "set1", values, layer)
        here = places.Place("sim", layer, "set1")
        for name, options in {"select": {}, "decode": {"shuffles": 1}}.items():
            chosen = analysis(name)
            chosen.run(wh, here, chosen.options(**options))
    make_set(wh, "rendered", Rendering(identities=1, size=64))
    plant(wh, "sim", "set1", values, "lost")
    lost = wh.frame("SELECT path FROM fragments WHERE layer = 'lost'").item()
    (path / "activations" / lost).unlink()
    wh.close()
    return wh


@pytest.fixture
def place(analysed: Warehouse, tmp_path: Path) -> Place:
    return Place(tmp_path, analysed)


def test_every_command_is_one_that_writes_or_reads() -> None:
    known = READING | FREEING | {words.split(" -")[0] for words in WRITING}
    assert set(commands()) == known


SIZES = [
    (name, size)
    for name in WRITING
    for size in (0, 2_000, 20_000)
    if size == 0 or name not in STEPS
]


@pytest.mark.parametrize(("command", "size"), SIZES)
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
    small_disk: Path, analysed: Warehouse, forked: Forked
) -> None:
    place = Place(small_disk, analysed)
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

"""Links, pipes and devices in the place of a warehouse's own files and folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.victim import Victim

FOLDERS = [
    "activations",
    "activations/_delta_log",
    "activations/network=net",
    "activations/network=net/layer=planted",
    "networks",
    "networks/_delta_log",
    "responses",
    "responses/_delta_log",
    "results",
    "results/selectivity",
    "results/selectivity/_delta_log",
    "results/saved",
    "results/saved/mine",
    "results/saved/mine/_delta_log",
    "images",
    ".local",
    ".local/locks",
    ".local/spill",
]
WRITING = {
    "responses": ("responses", "add", "ours.csv", "--study", "ours"),
    "results/saved": ("query", "mine.sql", "--save", "mine"),
    "results": ("select", "-n", "net", "-l", "planted", "-s", "set1"),
    "images": ("stimuli", "add", "set2", "pictures/manifest.csv", "--copy"),
    ".local": ("stimuli", "add", "set2", "pictures/manifest.csv"),
}


def prepare(victim: Victim) -> None:
    work = victim.outside.parent / "work"
    (work / "ours.csv").write_text("depicted,anger,fear\nanger,3,1\nfear,1,3\n")
    (work / "mine.sql").write_text("SELECT 1 AS unit_id, 2.0::FLOAT AS activation")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_leads_outside_is_not_followed(
    victim: Victim, folder: str, picture: Path
) -> None:
    prepare(victim)
    place = victim.path / folder
    elsewhere = victim.outside / "folder" / "elsewhere"
    if place.exists():
        shutil.move(place, elsewhere)
    else:
        elsewhere.mkdir()
        place.parent.mkdir(exist_ok=True)
    place.symlink_to(elsewhere)
    old = elsewhere / "part-old.parquet"
    old.write_bytes(b"PAR1")
    os.utime(old, (0, 0))
    writing = [words for name, words in WRITING.items() if folder.startswith(name)]
    for command in (*writing, ("vacuum", "--older-than", "0")):
        victim(*command)
    victim.numbers_are_true_or_refused()


FILES = [
    "warehouse.json",
    "catalog.duckdb",
    "catalog.duckdb.wal",
    "networks/_delta_log/00000000000000000001.json",
    "networks/_delta_log/_last_checkpoint",
    "networks/{part}",
    "activations/{part}",
    "results/selectivity/{part}",
    ".local/image_roots.json",
]


def a_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "secret.txt")


def a_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path, outside: Path) -> None:
    path.symlink_to("/dev/zero")


def a_folder(path: Path, outside: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("plant", [a_link, a_pipe, a_device, a_folder])
@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_none_is_neither_followed_nor_waited_for(
    victim: Victim, file: str, plant: Callable[[Path, Path], None]
) -> None:
    folder, _, name = file.rpartition("/")
    place = victim.path / file
    if name == "{part}":
        place = next((victim.path / folder).rglob("part-*.parquet"))
    place.unlink(missing_ok=True)
    place.parent.mkdir(exist_ok=True)
    plant(place, victim.outside)
    victim("sql", "FROM networks")
    victim.numbers_are_true_or_refused()


@pytest.mark.parametrize("name", ["a\nb", "--help", "x;touch y", "$(touch y)", "a'b\"c", "~", "\\"])
def test_a_folder_of_an_odd_name_is_a_warehouse_like_any(victim: Victim, name: str) -> None:
    moved = victim.path.parent / "work" / name
    shutil.copytree(victim.path, moved)
    done = victim("networks", "list", at=moved)
    if done.code == 1:
        assert "name" in done.sentence or "\\" in done.sentence


def test_a_loop_of_links_is_no_warehouse(victim: Victim) -> None:
    loop = victim.path.parent / "work" / "loop"
    loop.symlink_to(loop)
    assert victim("networks", "list", at=loop).code == 1

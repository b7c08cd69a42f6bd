"""Pipes, devices, sockets, folders and endless files where a command is given a file."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from support.victim import Victim

COMMANDS: dict[str, tuple[str, ...]] = {
    "a study": ("study", "check", "{file}"),
    "a query": ("query", "{file}"),
    "a manifest": ("stimuli", "add", "new", "{file}"),
    "a picture": ("stimuli", "add", "new", "manifest.csv"),
    "weights": ("networks", "add", "new", "--architecture", "vgg16", "--weights", "{file}"),
    "responses": ("responses", "add", "{file}", "--study", "x"),
    "units": ("decode", "-n", "net", "-l", "planted", "-s", "set1", "--units", "{file}"),
    "landmarks": ("stimuli", "prepare", "set1", "new", "--align", "eyes", "--landmarks", "{file}"),
    "a matrix": ("import", "{file}", "-n", "new", "-l", "x", "-s", "set1", "--source", "y"),
}


def socket_at(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def terabyte(path: Path) -> None:
    path.write_bytes(b"PAR1")
    os.truncate(path, 1 << 40)


KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": socket_at,
    "a folder": Path.mkdir,
    "a terabyte": terabyte,
    "a loop": lambda path: path.symlink_to(path),
    "bytes": lambda path: path.write_bytes(bytes(range(256)) * 100),
    "nothing": Path.touch,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", COMMANDS)
def test_what_is_no_such_file_is_refused_at_once(victim: Victim, what: str, kind: str) -> None:
    work = victim.outside.parent / "work"
    name = {"a matrix": "x.npy", "a picture": "x.png"}.get(what, "x")
    KINDS[kind](work / name)
    (work / "manifest.csv").write_text("path,identity,expression\nx.png,a,fear\n")
    done = victim(*(word.format(file=name) for word in COMMANDS[what]))
    if (what, kind) == ("a study", "nothing"):  # which is done
        return
    if (what, kind) != ("landmarks", "a folder"):  # of templates, of which there are none
        assert name in done.sentence
    assert done.code == 1


@pytest.mark.parametrize("command", [("study", "init"), ("stimuli", "show", "set1", "--sheet")])
@pytest.mark.parametrize(
    "place",
    [".", "nowhere/x.png", "/dev/null", "pipe", "{wh}/catalog.duckdb", "{wh}/x.png", "/", "a\nb/c"],
)
def test_what_is_no_place_for_a_file_is_refused(
    victim: Victim, command: tuple[str, ...], place: str
) -> None:
    os.mkfifo(victim.outside.parent / "work" / "pipe")
    before = (victim.path / "warehouse.json").read_bytes()
    done = victim(*command, place.format(wh=victim.path))
    assert done.code == 1
    assert (victim.path / "warehouse.json").read_bytes() == before
    assert not (victim.path / "x.png").exists()

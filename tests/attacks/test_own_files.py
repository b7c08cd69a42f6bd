"""Warehouses and studies that name a file of Python: only one that was named here is run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.planted import plant
from support.victim import Victim

from fexp_store import FexpError, Warehouse
from fexp_store.networks import registry
from fexp_store.networks.records import Options
from fexp_store.warehouse.networks import registered

PREPROCESSING = {"size": 8, "mean": [0, 0, 0], "std": [1, 1, 1]}
EVIL = """
import os, torch
os.makedirs({place!r}, exist_ok=True)

def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))

def other():
    os.makedirs({place!r}, exist_ok=True)
    return build()
"""


@pytest.fixture
def ran(victim: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a network's file makes when it is run: it is where commands are run, and came along.

    All that the attacker's machine remembers of it came along too, wherever it could be looked for.
    """
    work, place = tmp_path / "work", tmp_path / "work" / "ran"
    evil = work / "evil.py"
    evil.write_text(EVIL.format(place=str(place)))
    wh = Warehouse(victim.path)
    with monkeypatch.context() as attacker:
        attacker.setenv("FEXP_CACHE", str(tmp_path / "attacker"))
        options = Options(architecture=f"{evil}:build", preprocessing=PREPROCESSING)
        registry.add(wh, "evil", options)
    plant(wh, "evil", "set1", np.ones((24, 72)), layer="0")
    wh.close()
    place.rmdir()
    local = victim.path / ".local"
    local.mkdir(exist_ok=True)
    for folder in (local, local / "cache", victim.path):
        shutil.copytree(tmp_path / "attacker" / "own_files", folder / "own_files")
        shutil.copy(evil, folder / "evil.py")
    for name in ("weights", "own_files", "architectures"):
        (local / f"{name}.json").write_text(json.dumps({"evil": str(evil)}))
    return place


COMMANDS = (
    ("networks", "list"),
    ("networks", "show", "evil"),
    ("networks", "layers", "evil"),
    ("status",),
    ("sql", "SELECT * FROM networks"),
    ("verify",),
    ("ingest", "-n", "evil", "-l", "0", "-s", "set1", "--explain"),
    ("ingest", "-n", "evil", "-l", "0", "-s", "set2", "--dry-run"),
    ("ingest", "-n", "evil", "-l", "0", "-s", "set2"),
    ("verify", "--replay", "3", "--format", "json"),
)


def test_a_file_that_a_warehouse_names_is_not_run(victim: Victim, ran: Path, picture: Path) -> None:
    victim("stimuli", "add", "set2", picture)
    for command in COMMANDS:
        done = victim.run("-w", victim.path, *command, cwd=ran.parent)
        assert "Running" not in done.stderr
        assert not ran.exists(), command
        if command[0] == "ingest" and "--explain" not in command:
            assert done.code == 1
            assert "evil.py, which this user has not named on this machine" in done.sentence
        if "--replay" in command:
            assert b"which this user has not named on this machine" in done.stdout


def named_here(victim: Victim, ran: Path) -> None:
    """The user names that file and its function build, for a warehouse of their own."""
    evil = ran.parent / "evil.py"
    options = Options(architecture=f"{evil}:build", preprocessing=PREPROCESSING)
    wh = Warehouse.create(victim.path.with_name("own"))
    registry.add(wh, "mine", options)
    wh.close()
    ran.rmdir()


CHANGES: dict[str, Callable[[str], str]] = {
    "another function": lambda name: name.replace(":build@", ":other@"),
    "another file": lambda name: name.replace("evil.py", "../../evil.py"),
    "another content": lambda name: name[:-64] + "0" * 64,
    "no content": lambda name: name.partition("@")[0],
    "a path": lambda name: f"{Path.cwd()}/evil.py:build",
}


@pytest.mark.parametrize("kind", CHANGES)
def test_of_a_file_that_was_named_nothing_else_is_run(victim: Victim, ran: Path, kind: str) -> None:
    named_here(victim, ran)
    wh = Warehouse(victim.path)
    row = registered(wh, "evil")
    assert registry.load(wh, row)  # what was named is
    ran.rmdir()
    changed = replace(row, architecture=CHANGES[kind](row.architecture))
    with pytest.raises(FexpError):
        registry.load(wh, changed)
    assert not ran.exists()


def test_a_study_runs_no_file_that_its_reader_did_not_register(victim: Victim, ran: Path) -> None:
    study = ran.parent / "study.toml"
    study.write_text(
        '[[sets]]\nname = "set1"\n[[networks]]\nname = "new"\n'
        'architecture = "evil.py:build"\nlayers = ["0"]\n'
        "preprocessing = {size = 8, mean = [0, 0, 0], std = [1, 1, 1]}\n"
        '[[analyses]]\nrun = "select"\nstimuli = "set1"\n'
    )
    for command in ("check", "run"):
        done = victim.run("-w", victim.path, "study", command, study, cwd=ran.parent)
        assert done.code == 1
        assert "A study runs no file of Python" in done.sentence
        assert not ran.exists()

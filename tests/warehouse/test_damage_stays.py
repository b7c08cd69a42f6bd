"""Each kind of file is lost or spoilt in turn: what needs it says its name, all else works."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from support.writing import write_photographs
from typer.testing import CliRunner

from fexp_store import Warehouse
from fexp_store.analyses.selectivity.select import Options, select
from fexp_store.cli import app
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse import saved
from fexp_store.warehouse.place import Place

pytestmark = pytest.mark.slow

PLACE = ["--network", "dlib", "--layer", "embedding", "--stimuli", "set1"]
STORED = {"fragments", "activations"}
# What each command needs of the warehouse: folders of tables.
COMMANDS = {
    "activations": (["sql", "SELECT count(*), sum(unit_id) FROM activations"], {"activations"}),
    "fragments": (["sql", "SELECT layer, rows FROM fragments ORDER BY layer"], STORED),
    "selectivity": (["sql", "FROM selectivity"], {"results/selectivity", "runs"}),
    "saved": (["sql", "SELECT x FROM saved.mine"], {"results/saved/mine", "runs"}),
    "stimuli": (["sql", "SELECT identity FROM stimuli"], {"stimuli"}),
    "responses": (["sql", "SELECT count(*) FROM responses"], {"responses"}),
    "log": (["log"], {"runs"}),
    "stimuli list": (["stimuli", "list"], {"stimuli"}),
    "networks list": (["networks", "list"], {"networks", *STORED}),
    "networks layers": (["networks", "layers", "dlib"], {"networks", *STORED}),
    "ingest --explain": (["ingest", *PLACE, "--explain"], {"stimuli", "networks", *STORED}),
    "index": (["index"], {"catalog.duckdb"}),
}


Damage = Callable[[Path], None]


def lose(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def spoil(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 3)
        file.write(bytes(64))


def link(path: Path) -> None:
    """Put what a path leads to elsewhere: a link is not followed."""
    root = next(folder for folder in path.parents if folder.name == "warehouse")
    elsewhere = root.with_name(f"elsewhere {path.name}")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


class Case(NamedTuple):
    """What happens to which file or folder of a table."""

    table: str
    find: Callable[[Path], Path]
    damage: Damage


def data(table: str, damage: Damage) -> Case:
    def find(root: Path) -> Path:
        return max((root / table).rglob("part-*.parquet"), key=os.path.getsize)

    return Case(table, find, damage)


def at(table: str, path: str, damage: Damage) -> Case:
    return Case(table, lambda root: root / path, damage)


def entry(table: str, number: int, damage: Damage) -> Case:
    return at(table, f"{table}/_delta_log/{number:020}.json", damage)


SMALL = ("stimuli", "networks", "fragments", "runs", "results/selectivity", "results/saved/mine")
ALL = ("activations", *SMALL)
HOWS = (lose, cut, link)
CASES = (
    {f"data of {table} lost": data(table, lose) for table in ALL}
    | {f"data of {table} cut": data(table, cut) for table in ALL}
    | {f"data of {table} spoilt": data(table, spoil) for table in ALL}
    | {f"data of {table} elsewhere": data(table, link) for table in ("activations", "runs")}
    | {f"first entry of {table} cut": entry(table, 0, cut) for table in ALL}
    | {f"first entry of {table} lost": entry(table, 0, lose) for table in ("activations", "runs")}
    | {f"an entry of {table} lost": entry(table, 1, lose) for table in ("stimuli", "runs")}
    | {f"an entry of {table} spoilt": entry(table, 1, spoil) for table in ("stimuli", "runs")}
    | {f"all of {table} lost": at(table, table, lose) for table in ("responses", *ALL[:-1])}
    | {f"all of {table} elsewhere": at(table, table, link) for table in ("activations", "runs")}
    | {
        f"catalog {d.__name__}": at("catalog.duckdb", "catalog.duckdb", d)
        for d in (lose, cut, link)
    }
)


@pytest.fixture(scope="module")
def healthy(ingested: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with a result of an analysis and one that a user saved."""
    root = tmp_path_factory.mktemp("healthy") / "warehouse"
    shutil.copytree(ingested.location, root)
    wh = Warehouse(root)
    add_manifest(wh, "set2", write_photographs(root.with_name("photographs"), 1))
    select(wh, Place("dlib", "embedding", "set1"), Options())
    saved.save(wh, "mine", "SELECT 42 AS x", {})
    return root


@pytest.fixture(scope="module")
def answers(healthy: Path) -> dict[str, str]:
    """What each command prints while nothing is damaged."""
    found = {name: run(healthy, command) for name, (command, _) in COMMANDS.items()}
    assert {code for code, _, _ in found.values()} == {0}
    return {name: output for name, (_, output, _) in found.items()}


def run(root: Path, command: list[str]) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["-w", str(root), *command])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_damage_costs_its_own_commands_only(
    healthy: Path, answers: dict[str, str], tmp_path: Path, case: Case
) -> None:
    root = tmp_path / "warehouse"
    shutil.copytree(healthy, root)
    case.damage(case.find(root))
    for name, (command, needs) in COMMANDS.items():
        code, output, said = run(root, command)
        if case.table not in needs:
            assert (code, output) == (0, answers[name]), (name, said)
        elif code == 0:
            assert output == answers[name], name
        else:
            assert case.table in said, (name, said)
            assert said.count("\n") == 1
            assert "disk full" not in said
            assert str(root) not in said

"""``fexp verify --replay``: beside the other faults, in every format, with an exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.forked import Forked

from fexp_store import Warehouse


@pytest.fixture
def photographed(ingested: Warehouse, tmp_path: Path) -> Path:
    """A copy of a warehouse and of its photographs, which it knows by their place."""
    home = Path(ingested.location).parent
    shutil.copytree(home / "photographs", tmp_path / "photographs")
    shutil.copytree(ingested.location, tmp_path / "warehouse")
    record = tmp_path / "warehouse" / ".local" / "image_roots.json"
    record.write_text(record.read_text().replace(str(home), str(tmp_path)))
    return tmp_path


def test_what_is_right_ends_with_0_and_says_how_to_draw_it_again(
    photographed: Path, forked: Forked
) -> None:
    done = forked("-w", photographed / "warehouse", "verify", "--replay", "4", "--seed", "7")
    assert done.code == 0, done.stderr
    assert "Of 4 stimuli of layers that were drawn (--seed 7), 4 agree, 0 differ and 0 could" in (
        " ".join(done.stderr.split())
    )


def test_what_cannot_be_run_is_a_row_of_the_table_and_ends_with_1(
    photographed: Path, forked: Forked
) -> None:
    shutil.rmtree(photographed / "photographs")
    command = ("verify", "--quick", "--replay", "3", "--seed", "7", "--format", "json")
    done = forked("-w", photographed / "warehouse", *command)
    assert done.code == 1
    rows = json.loads(done.stdout)
    assert {row["what"] for row in rows} == {"network"}
    assert all(list(row) == ["what", "where", "fault", "remedy"] for row in rows)
    assert all("could not be run again: The image" in row["fault"] for row in rows)
    assert "0 agree, 0 differ and 3 could not be run again" in " ".join(done.stderr.split())


def test_tables_that_cannot_be_read_are_told_with_the_other_faults(
    photographed: Path, forked: Forked
) -> None:
    (photographed / "warehouse" / "warehouse.json").write_text("{")
    command = ("verify", "--quick", "--replay", "3", "--format", "json")
    done = forked("-w", photographed / "warehouse", *command)
    assert done.code == 1
    assert {row["what"] for row in json.loads(done.stdout)} == {"marker", "network"}


def test_a_warehouse_that_can_only_be_read_is_replayed(photographed: Path, forked: Forked) -> None:
    warehouse = photographed / "warehouse"
    for path in (warehouse, *warehouse.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = forked("-w", warehouse, "verify", "--replay", "3", ordinary=True)
    for path in (warehouse, *warehouse.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert done.code == 0, done.stderr
    assert "3 agree, 0 differ" in " ".join(done.stderr.split())

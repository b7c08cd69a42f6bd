"""Catalogs that somebody else has made: never believed, whatever is in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from support.victim import NUMBERS, SECRET, Victim

FILE = "catalog.duckdb"


def planted(victim: Victim, *statements: str) -> None:
    """Let the catalog hold what statements make of it, and look as old as before."""
    path = victim.path / FILE
    about = path.stat()
    with duckdb.connect(path) as connection:
        for statement in statements:
            connection.execute(statement.format(outside=victim.outside, wh=victim.path))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def view(query: str) -> Callable[[Victim], None]:
    def plant(victim: Victim) -> None:
        planted(
            victim,
            f"CREATE OR REPLACE VIEW networks AS {query}",
            "CREATE OR REPLACE VIEW activations AS "
            f"SELECT *, 1 AS unit_id, 7 AS activation FROM ({query})",
        )

    return plant


def other_numbers(victim: Victim) -> None:
    planted(
        victim,
        "CREATE OR REPLACE VIEW activations AS SELECT 'net' AS network, 'planted' AS layer, "
        "'set1' AS stimulus_set, 1 AS unit_id, 2 AS stimulus_id, 3.0 AS activation FROM range(960)",
    )


def of_another_warehouse(victim: Victim) -> None:
    other = victim.outside.parent / "work" / "other"
    shutil.copytree(victim.path, other)
    victim("index", at=other)
    shutil.copy(other / FILE, victim.path / FILE)


def garbage(victim: Victim) -> None:
    (victim.path / FILE).write_bytes(os.urandom(4096))


def shortened(victim: Victim) -> None:
    os.truncate(victim.path / FILE, 20_000)


def flipped(victim: Victim) -> None:
    path = victim.path / FILE
    content = bytearray(path.read_bytes())
    for place in range(4096, len(content), 997):
        content[place] ^= 1
    path.write_bytes(content)


def a_terabyte(victim: Victim) -> None:
    os.truncate(victim.path / FILE, 1 << 40)


def a_log_beside_it(victim: Victim) -> None:
    """The log of a database that holds other numbers, which DuckDB would replay."""
    path = victim.path / FILE
    copy = victim.outside.parent / "work" / "copy.duckdb"
    shutil.copy(path, copy)
    connection = duckdb.connect(copy)
    connection.execute("SET checkpoint_threshold = '1TB'; SET wal_autocheckpoint = '1TB'")
    connection.execute("CREATE OR REPLACE VIEW networks AS SELECT 'evil' AS network")
    shutil.copy(f"{copy}.wal", f"{path}.wal")
    connection.close()


CATALOGS: dict[str, Callable[[Victim], None]] = {
    "a view of a text": view("FROM read_text('{outside}/secret.txt')"),
    "a view of the system": view("FROM read_text('/etc/passwd')"),
    "a view of a table": view("FROM read_csv('{outside}/secret.csv')"),
    "a view of Parquet": view("FROM read_parquet('{outside}/*.parquet')"),
    "a view of a folder": view("FROM glob('{outside}/*')"),
    "a view through the warehouse": view("FROM read_text('{wh}/activations/../../outside/*.txt')"),
    "a view that never ends": view("FROM range(10000000000000)"),
    "other numbers": other_numbers,
    "of another warehouse": of_another_warehouse,
    "garbage": garbage,
    "shortened": shortened,
    "flipped bits": flipped,
    "a terabyte": a_terabyte,
    "a log beside it": a_log_beside_it,
}


@pytest.mark.parametrize("kind", CATALOGS)
@pytest.mark.parametrize("own", [True, False], ids=["after ours", "from elsewhere"])
def test_a_planted_catalog_is_not_believed(victim: Victim, kind: str, own: bool) -> None:
    victim("index")  # this user's, here: from now on a catalog is believed
    if not own:
        moved = victim.path.with_name("moved")
        victim.path.rename(moved)
        victim.path = moved
    CATALOGS[kind](victim)
    both = f"SELECT * FROM ({NUMBERS}), (SELECT network FROM networks)"
    done = victim("sql", both, "-f", "csv")
    assert done.stdout.split()[-1] == victim.true_numbers.split()[-1] + b",net"


@pytest.mark.parametrize("name", ["FEXP_CACHE", "HOME", "TMPDIR"])
@pytest.mark.parametrize("value", ["/dev/null", "/proc", "relative"])
def test_a_cache_that_cannot_be_is_done_without(victim: Victim, name: str, value: str) -> None:
    environment = {"FEXP_CACHE": "", name: value} if name != "FEXP_CACHE" else {name: value}
    work = victim.path.parent / "work"
    (work / "relative").mkdir()
    done = victim.run(
        "-w", victim.path, "networks", "list", "-f", "csv", cwd=work, environment=environment
    )
    assert done.code == 0 or done.sentence.startswith("Error: ")
    assert SECRET not in done.stderr


def test_what_was_remembered_elsewhere_is_not_believed(victim: Victim) -> None:
    """A cache that comes with a warehouse is not this user's."""
    shutil.copytree(Path(os.environ["FEXP_CACHE"]), victim.path / ".local" / "cache")
    other_numbers(victim)
    assert victim.numbers_are_true_or_refused().code == 0

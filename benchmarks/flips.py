"""Single bits flipped at random: which `verify` finds, and which change an answer."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.damage import HERE, OTHER, files, flip, furnish, random_bit
from benchmarks.setting import new_warehouse, print_table
from fexp_store import FexpError, Warehouse
from fexp_store.analyses import analysis
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.verify.verify import locate, verify

DATA = (
    *("activations/network=*/**/*.parquet", "images/*/*", "results/*/**/part-*.parquet"),
    *("networks/*.parquet", "stimuli/*.parquet", "fragments/*.parquet", "runs/*.parquet"),
)
LOGS = ("**/_delta_log/*.json", "warehouse.json", "catalog.duckdb")

QUERIES = (
    "SELECT count(*), sum(activation::DECIMAL(18, 6)) FROM activations",
    "SELECT * EXCLUDE (created) FROM networks",
    "FROM stimuli",
    "FROM fragments",
    "SELECT * FROM selectivity ORDER BY ALL",
    "SELECT * FROM saved.means ORDER BY ALL",
    "SELECT kind, key, seconds IS NULL FROM runs ORDER BY ALL",
)

PLACES = (HERE, OTHER)
ANALYSES: dict[str, dict[str, Any]] = {
    "select": {},
    "decode": {"units": "all", "folds": 2, "shuffles": 0, "components": 5},
}


def answers(location: str) -> dict[str, Any]:
    """What a warehouse answers; nothing for what it refuses."""
    asked: dict[str, Callable[[Warehouse], Any]] = {
        query: partial(_rows, query) for query in QUERIES
    }
    for place in PLACES:
        asked[str(place)] = partial(_matrix, place)
    return _given(location, asked)


def results(location: str, directory: Path) -> dict[str, Any]:
    """What analyses find in a copy of a warehouse; nothing where they refuse."""
    shutil.copytree(location, directory)
    try:
        return _given(str(directory), {name: partial(_found, name) for name in ANALYSES})
    finally:
        shutil.rmtree(directory)


def _rows(query: str, wh: Warehouse) -> list[Any]:
    return wh.query(query).rows()


def _matrix(place: Place, wh: Warehouse) -> bytes:
    return wh.matrix(*place).values.tobytes()


def _found(name: str, wh: Warehouse) -> list[Any]:
    chosen = analysis(name)
    done = chosen.run(wh, OTHER, chosen.options(**ANALYSES[name]))
    query = f"FROM {chosen.tables[0]} WHERE run_id = $run ORDER BY ALL"
    return wh.frame(query, run=done.run_id).drop("run_id").rows()


def _given(location: str, asked: Mapping[str, Callable[[Warehouse], Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        wh = Warehouse(location)
    except FexpError:
        return dict.fromkeys(asked)
    for name, ask in asked.items():
        try:
            found[name] = ask(wh)
        except FexpError:
            found[name] = None
    wh.close()
    return found


def wrong(found: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """Which answers are others than those that are right; a refusal is none."""
    return [name for name, value in found.items() if value is not None and value != right[name]]


def flips(
    wh: Warehouse, patterns: tuple[str, ...], count: int, seed: int
) -> Iterator[tuple[Path, int]]:
    """Flip a bit of a random file of each kind in turn; it is back as it was afterwards."""
    rng = random.Random(seed)
    for number in range(count):
        path = rng.choice(files(wh, patterns[number % len(patterns)]))
        bit, content = random_bit(path, rng), path.read_bytes()
        flip(path, bit)
        yield path, bit
        path.write_bytes(content)


def is_found(wh: Warehouse) -> bool:
    """Whether `verify` finds anything wrong."""
    return bool(verify(locate(wh.location)).faults)


@dataclass
class Count:
    """What came of flips: how many, how many were found, and by which the answers were wrong."""

    flips: int = 0
    found: int = 0
    unfound: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def count_flips(wh: Warehouse, patterns: tuple[str, ...], count: int, seed: int) -> Count:
    """Flip bits one by one, and ask `verify`, every query and the analyses each time.

    `changed` has wrong answers; of a flip that is not found none may be missing either.
    """

    def given() -> dict[str, Any]:
        return answers(wh.location) | results(wh.location, Path(f"{wh.location}.analysed"))

    right, counted = given(), Count()
    if None in right.values():
        raise ValueError("something is refused before anything is flipped")
    for path, bit in flips(wh, patterns, count, seed):
        counted.flips += 1
        where = f"{path.relative_to(wh.location)} bit {bit}"
        now = given()
        if is_found(wh):
            counted.found += 1
        else:
            counted.unfound.append(where)
        counted.changed += [f"{where}: {name}" for name in wrong(now, right)]
        if counted.unfound[-1:] == [where] and now != right:
            counted.changed.append(f"{where}: refused, and not found")
    return counted


def run() -> None:
    """Flip, and print what was found."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        wh = new_warehouse(directory)
        furnish(wh, Path(directory) / "photographs")
        for name, patterns, count in (("data", DATA, 500), ("logs, marker, catalog", LOGS, 100)):
            start = time.perf_counter()
            counted = count_flips(wh, patterns, count, seed=count)
            seconds = round(time.perf_counter() - start)
            rows.append((name, counted.flips, counted.found, len(counted.changed), seconds))
            for said in counted.changed:
                print(f"- {said}")
    print_table(("flips in", "flips", "found by verify", "wrong answers", "seconds"), rows)

"""Single bits flipped at random: which `verify` finds, and which change an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fexp_store import FexpError, Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.verify.verify import locate, verify
from support.damage import HERE, files, flip, random_bit

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


def answers(location: str) -> dict[str, Any]:
    """What a warehouse answers; nothing for what it refuses."""
    found: dict[str, Any] = {}
    asked: dict[str, Callable[[Warehouse], Any]] = {
        query: lambda wh, query=query: wh.query(query).rows() for query in QUERIES
    }
    for place in (HERE, Place("planted", "other", HERE.stimulus_set)):
        asked[str(place)] = lambda wh, place=place: wh.matrix(*place).values.tobytes()
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
    """Flip bits one by one, and ask `verify` and every query each time.

    `changed` has wrong answers; of a flip that is not found none may be missing either.
    """
    right, counted = answers(wh.location), Count()
    for path, bit in flips(wh, patterns, count, seed):
        counted.flips += 1
        where = f"{path.relative_to(wh.location)} bit {bit}"
        given = answers(wh.location)
        if is_found(wh):
            counted.found += 1
        else:
            counted.unfound.append(where)
        counted.changed += [f"{where}: {name}" for name in wrong(given, right)]
        if counted.unfound[-1:] == [where] and given != right:
            counted.changed.append(f"{where}: refused, and not found")
    return counted

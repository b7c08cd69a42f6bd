"""What a warehouse holds: which layers, complete or not, how large, and what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from fexp_store.errors import FexpError
from fexp_store.warehouse import contents, delta, root, vacuum
from fexp_store.warehouse.activations.commit import stored_ranges
from fexp_store.warehouse.activations.fragment import TABLE
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage
from fexp_store.warehouse.verify.verify import last_verified

_PLACE = list(Place._fields)


@dataclass(frozen=True)
class Status:
    """What `status` found.

    Parameters
    ----------
    layers : DataFrame
        One row per layer and stimulus set of which something is stored: network, layer,
        stimulus_set, stored and stimuli (that are stored, of how many; null where the files do not
        tell), state (complete, incomplete or damaged), files, bytes, and of the files how many are
        damaged (gone, or of another size), foreign (written by another program) and unverified
        (never hashed by this user on this machine).
    kinds : DataFrame
        kind (a table, results, images, the catalog, orphans), files and bytes of each.
    format_version : int
    upgradable : bool
        Whether ``fexp upgrade`` would make it newer.
    verified : datetime or None
        When this user last found everything right on this machine.
    broken : dict of str to str
        Sentences on tables that cannot be read, by name.
    """

    layers: pl.DataFrame
    kinds: pl.DataFrame
    format_version: int
    upgradable: bool
    verified: datetime | None
    broken: dict[str, str]


def status(storage: Storage) -> Status:
    """Look at a warehouse without reading activations: names, sizes and the small tables.

    A table that cannot be read is named, and the rest is told.
    """
    found = contents.read(storage)
    format_version = root.format_version(storage)
    return Status(
        _layers(storage, found),
        _kinds(storage),
        format_version,
        format_version < root.FORMAT_VERSION,
        last_verified(storage),
        found.broken,
    )


def _layers(storage: Storage, found: contents.Contents) -> pl.DataFrame:
    listed = found.listed.filter(table_name=TABLE)
    if not set(_PLACE) <= set(listed.columns):
        listed = listed.with_columns(pl.lit(None, pl.String).alias(name) for name in _PLACE)
    examined = contents.examine(storage, listed)
    foreign = found.foreign["path"].implode()
    files = listed.group_by(_PLACE).agg(
        pl.len().cast(pl.Int64).alias("files"),
        pl.col("bytes").sum(),
        *(
            rule.sum().cast(pl.Int64).alias(name)
            for name, rule in {
                "damaged": pl.col("file").is_in(list(examined.faults)),
                "foreign": pl.col("path").is_in(foreign),
                "unverified": pl.col("file").is_in(list(examined.unchecked))
                | pl.col("sha256").is_null(),
            }.items()
        ),
    )
    places = [Place(*row) for row in files.select(_PLACE).iter_rows()]
    stored = _stored(storage, {place: _units(found, place) for place in places})
    complete = pl.col("stored") == pl.col("stimuli")
    state = (
        pl.when(pl.col("stored").is_null() | (pl.col("damaged") > 0))
        .then(pl.lit("damaged"))
        .when(complete)
        .then(pl.lit("complete"))
        .otherwise(pl.lit("incomplete"))
    )
    return (
        files.with_columns(pl.Series("stored", stored, pl.Int64))
        .join(_set_sizes(found), on="stimulus_set", how="left")
        .with_columns(state.alias("state"))
        .select(*_PLACE, "stored", "stimuli", "state", "files", "bytes", *_COUNTS)
        .sort(_PLACE)
    )


_COUNTS = ("damaged", "foreign", "unverified")


def _set_sizes(found: contents.Contents) -> pl.DataFrame:
    empty = pl.DataFrame(schema={"stimulus_set": pl.String})
    rows = found.rows.get("stimuli", empty)
    return rows.group_by("stimulus_set").agg(pl.len().cast(pl.Int64).alias("stimuli"))


def _units(found: contents.Contents, place: Place) -> int | None:
    """Units of a layer as its network is registered; None if that cannot be told."""
    networks = found.rows.get("networks")
    texts = [] if networks is None else networks.filter(network=place.network)["layers"].to_list()
    for text in texts:
        for layer in json.loads(text):
            if layer["name"] == place.layer:
                return math.prod(layer["shape"])
    return None


def _stored(storage: Storage, units: Mapping[Place, int | None]) -> list[int | None]:
    """Stimuli of each place that are stored; None where its files do not tell."""
    table = delta.open_table(storage, TABLE) if units else None
    counts: list[int | None] = []
    for place, n_units in units.items():
        ranges = None
        if table is not None and n_units is not None:
            with suppress(FexpError):  # one that is damaged costs itself only
                ranges = stored_ranges(storage, table, {place: n_units}).get(place, [])
        counts.append(None if ranges is None else sum(stop - start for start, stop in ranges))
    return counts


def _kinds(storage: Storage) -> pl.DataFrame:
    # A younger one may be of somebody who is writing.
    orphans = {orphan.path for orphan in vacuum.find(storage).orphans}
    rows = [
        ("orphans" if path in orphans else _kind(path), now.size)
        for path, now in storage.signatures(storage.files()).items()
    ]
    frame = pl.DataFrame(rows, {"kind": pl.String, "bytes": pl.Int64}, orient="row")
    return (
        frame.group_by("kind")
        .agg(pl.len().cast(pl.Int64).alias("files"), pl.col("bytes").sum())
        .sort("bytes", "kind", descending=[True, False])
    )


def _kind(path: str) -> str:
    folder, *inside = path.split("/")
    return f"{folder}/{inside[0]}" if folder == "results" and len(inside) > 1 else folder

"""Rows of the small tables: keys that come once, sets that are whole, names that exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import polars as pl

from fexp_store.warehouse.activations.fragment import TABLE
from fexp_store.warehouse.contents import Contents
from fexp_store.warehouse.networks import IMPORTED
from fexp_store.warehouse.sets import set_sha256
from fexp_store.warehouse.verify.fault import Fault, Kind

_REMEDY = "Restore the folder of the table from a copy."

Check = Callable[[pl.DataFrame], Iterator[str]]


def faults(found: Contents) -> Iterator[Fault]:
    """Give what is wrong with the rows of tables that can be read."""
    for name, check in _CHECKS.items():
        if name in found.rows:
            for sentence in check(found.rows[name]):
                yield Fault(Kind.rows, name, sentence, _REMEDY)
    if TABLE in found.kept and "fragments" in found.rows:
        live = found.rows["fragments"].join(found.kept[TABLE].files, on="path", how="semi")
        yield from _overlaps(live)
    yield from _unregistered(found)


def unfinished(found: Contents) -> Iterator[Fault]:
    """Give results whose run is not recorded: it was killed, or is still under way."""
    if "runs" not in found.rows:
        return
    runs = found.rows["runs"].select("run_id").unique()
    for folder, kept in (found.kept | found.saved).items():
        if "run_id" in kept.keys and "run_id" in kept.files.columns:
            lost = kept.files.join(runs, on="run_id", how="anti")["run_id"].unique()
            for run_id in lost.sort():
                said = f"The run {run_id} has not finished, and its rows are not shown."
                yield Fault(Kind.rows, folder, said, "Run the analysis again.")


def _twice(frame: pl.DataFrame, *key: str) -> Iterator[str]:
    found = frame.group_by(key).len().filter(pl.col("len") > 1).sort(key)
    for *values, count in found.iter_rows():
        named = ", ".join(f"{name} {value}" for name, value in zip(key, values, strict=True))
        yield f"There are {count} rows of {named}."


def _networks(rows: pl.DataFrame) -> Iterator[str]:
    imported = rows["architecture"] == IMPORTED
    yield from _twice(rows.filter(~imported), "network")
    yield from _twice(rows.filter(imported), "network", "layers")


def _stimuli(rows: pl.DataFrame) -> Iterator[str]:
    for (name,), group in rows.group_by("stimulus_set", maintain_order=True):
        ordered = group.sort("stimulus_id")
        if ordered["stimulus_id"].to_list() != list(range(group.height)):
            yield f"The stimuli of {name} are not numbered from 0 without gaps."
        elif {set_sha256(ordered.iter_rows(named=True))} != {*group["set_sha256"]}:
            yield f"The rows of the set {name} are not those that its set_sha256 is the hash of."


def _runs(rows: pl.DataFrame) -> Iterator[str]:
    yield from _twice(rows.with_columns(finished=pl.col("seconds").is_not_null()), *_RUN)
    for (run_id,), group in rows.group_by("run_id", maintain_order=True):
        if group.select("kind", "parameters", "key").n_unique() > 1:
            yield f"The rows of the run {run_id} say different things."


_RUN = ("run_id", "finished")

_CHECKS: Mapping[str, Check] = {
    "networks": _networks,
    "stimuli": _stimuli,
    "runs": _runs,
    "fragments": lambda rows: _twice(rows, "path"),
    "responses": lambda rows: _twice(rows, "study", "observer", "depicted", "response"),
}


def _overlaps(live: pl.DataFrame) -> Iterator[Fault]:
    """Say which fragments hold the same activations."""
    key = ["network", "layer", "stimulus_set", "unit_start"]
    for _, group in live.sort("stimulus_start").group_by(key, maintain_order=True):
        for one, other in pairwise(group.iter_rows(named=True)):
            if other["stimulus_start"] < one["stimulus_stop"]:
                said = f"{one['path']} has stimuli that it has too, from {other['stimulus_start']}."
                yield Fault(Kind.activations, f"{TABLE}/{other['path']}", said)


def _unregistered(found: Contents) -> Iterator[Fault]:
    """Give names of activations that no table explains."""
    stored = found.listed.filter(table_name=TABLE)
    for column, table, how in (
        ("network", "networks", "Register the same network again: fexp networks add {0}"),
        ("stimulus_set", "stimuli", "Register the same set again: fexp stimuli add {0} MANIFEST"),
    ):
        if table in found.rows and column in stored.columns:
            names = stored.select(column).unique().sort(column)
            for name in names.join(found.rows[table], on=column, how="anti")[column]:
                said = f"There are activations of {name}, which is not registered."
                yield Fault(Kind.rows, table, said, how.format(name))

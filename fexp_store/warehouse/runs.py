"""Provenance: every ingest and every analysis is a run, with its parameters and versions."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fexp_store import schemas
from fexp_store.version import __version__
from fexp_store.warehouse import delta, tables
from fexp_store.warehouse.storage import Storage

if TYPE_CHECKING:
    from fexp_store.warehouse.warehouse import Warehouse

_PACKAGES = (
    "deltalake",
    "duckdb",
    "numpy",
    "polars",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
)


@dataclass(frozen=True)
class Run:
    """A run that is under way; nothing is stored until it is recorded.

    Parameters
    ----------
    run_id : str
    parameters : dict
        What it is run on, and its options.
    row : dict
        Its row of the table ``runs``, without `seconds`.
    clock : float
        Monotonic time of its start.
    """

    run_id: str
    parameters: dict[str, Any]
    row: dict[str, Any]
    clock: float


def begin(storage: Storage, kind: str, key: Mapping[str, Any], options: Mapping[str, Any]) -> Run:
    """Begin a run: fix its id, its parameters and the versions of what it will read.

    Parameters
    ----------
    kind : str
        The command.
    key : mapping
        What it is run on: a finished run is superseded by the next one of its kind and key.
    options : mapping
        Its further parameters; they do not set two runs apart.

    Raises
    ------
    BadInput
        If nothing can be stored, because the warehouse can only be read.
    """
    storage.demand_writable()
    run_id, parameters = uuid.uuid4().hex, {**options, **key}
    row = {
        "run_id": run_id,
        "kind": kind,
        "parameters": json.dumps(parameters, sort_keys=True),
        "key": key_text(key),
        "input_versions": json.dumps(delta.log_versions(storage)),
        "software": json.dumps(_software()),
        "git_commit": _git_commit(),
        "started": datetime.now(UTC),
    }
    return Run(run_id, parameters, row, time.perf_counter())


def key_text(key: Mapping[str, Any]) -> str:
    """Write a key as it is stored and compared: JSON without blanks, by name, without nulls."""
    named = {name: value for name, value in sorted(key.items()) if value is not None}
    return json.dumps(named, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class Finished:
    """A finished run: when it began, and with which parameters."""

    run_id: str
    started: datetime
    parameters: dict[str, Any]


def newest(wh: Warehouse, kind: str, key: Mapping[str, Any]) -> Finished | None:
    """Return the run that counts: the newest finished one of a kind and key, if there is any."""
    query = schemas.sql("queries")["newest_run"]
    for run_id, started, parameters in wh.frame(query, kind=kind, key=key_text(key)).iter_rows():
        return Finished(run_id, started, json.loads(parameters))
    return None


def differences(
    run: Finished, parameters: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> list[str]:
    """Name the parameters in which a run differs from those that are wanted, with both values.

    A run that is older than a parameter was run as the parameter's default says.
    """
    wanted = json.loads(json.dumps(parameters))
    had = {name: run.parameters.get(name, (defaults or {}).get(name)) for name in wanted}
    changed = (name for name in wanted if had[name] != wanted[name])
    return [f"{name} {had[name]} instead of {wanted[name]}" for name in changed]


def record_start(storage: Storage, run: Run) -> None:
    """Record that a run has begun, before it commits anything that names it."""
    _append(storage, run.row | {"seconds": None})


def record_end(storage: Storage, run: Run) -> None:
    """Record that a run is finished: from now on the views show its results."""
    _append(storage, run.row | {"seconds": time.perf_counter() - run.clock})


def _append(storage: Storage, row: dict[str, Any]) -> None:
    overrides = {"seconds": pl.Float64, "git_commit": pl.String}
    tables.append(storage, "runs", pl.DataFrame([row], schema_overrides=overrides))


@cache
def _software() -> dict[str, str]:
    return {"fexp-store": __version__} | {package: version(package) for package in _PACKAGES}


@cache
def _git_commit() -> str | None:
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None

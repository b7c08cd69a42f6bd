"""Provenance: every ingest and every analysis is a run, with its parameters and versions."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from fexp_store.version import __version__
from fexp_store.warehouse import tables

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
    row : dict
        Its row of the table ``runs``, without `seconds`.
    clock : float
        Monotonic time of its start.
    """

    run_id: str
    row: dict[str, Any]
    clock: float


def begin(root: Path, kind: str, parameters: Mapping[str, Any]) -> Run:
    """Begin a run: fix its identity, its parameters and the versions of what it will read."""
    run_id = uuid.uuid4().hex
    row = {
        "run_id": run_id,
        "kind": kind,
        "parameters": json.dumps(parameters, sort_keys=True),
        "input_versions": json.dumps(tables.log_versions(root)),
        "software": json.dumps(_software()),
        "git_commit": _git_commit(),
        "started": datetime.now(UTC),
    }
    return Run(run_id, row, time.perf_counter())


def record_start(root: Path, run: Run) -> None:
    """Record that a run has begun, before it commits anything that names it."""
    _append(root, run.row | {"seconds": None})


def record_end(root: Path, run: Run) -> None:
    """Record that a run is finished: from now on the views show its results."""
    _append(root, run.row | {"seconds": time.perf_counter() - run.clock})


def _append(root: Path, row: dict[str, Any]) -> None:
    overrides = {"seconds": pl.Float64, "git_commit": pl.String}
    tables.append(root, "runs", pl.DataFrame([row], schema_overrides=overrides))


def _software() -> dict[str, str]:
    return {"fexp-store": __version__} | {package: version(package) for package in _PACKAGES}


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

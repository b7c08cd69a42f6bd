"""Queries on a layer of 100,352 units x 624 stimuli, beside vectorised numpy on the same matrix."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from benchmarks.setting import UNITS, in_own_process, new_warehouse, print_table
from fexp_store import Warehouse
from fexp_store.analyses.selectivity.anova import anova
from fexp_store.analyses.selectivity.select import Options, select
from fexp_store.expressions import BASIC
from fexp_store.warehouse import tables
from fexp_store.warehouse.activations.commit import commit
from fexp_store.warehouse.activations.fragment import Portion
from fexp_store.warehouse.activations.write import Held, write_portion
from fexp_store.warehouse.place import Place

IDENTITIES = 104
RUNS = 3
REFERENCE = "numpy, float64, with F and p"
PLACE = Place("net", "conv5_3", "set1")
MACROS = {
    "one unit's responses": (
        "FROM activations WHERE network = 'net' AND layer = 'conv5_3' "
        "AND stimulus_set = 'set1' AND unit_id = 77777"
    ),
    "top_stimuli": "FROM top_stimuli('net', 'conv5_3', 77777, 20)",
    "nearest_stimuli, 3 units": (
        "FROM nearest_stimuli('net', 'conv5_3', 'set1', 12, [101, 5512, 90001], 20)"
    ),
    "one full scan": "SELECT sum(activation), sum(unit_id), sum(stimulus_id) FROM activations",
    "top_units": "FROM top_units('net', 'conv5_3', 'set1', 12, 20)",
    "macro expression_anova": "FROM expression_anova('net', 'conv5_3', 'set1')",
}


def run() -> None:
    """Measure all in one run, best of three, and print; each kind of work in its own process."""
    with tempfile.TemporaryDirectory() as directory:
        wh = new_warehouse(directory)
        array = Path(directory) / "matrix.npy"
        in_own_process(_store, wh, array, 1)  # a child's peak begins at that of its parent
        root = wh.location
        best: dict[str, float] = {}
        peaks: dict[str, float] = {}
        for name, work, arguments in (
            ("numpy", _reference, (str(array),)),
            ("queries", _queries, (root,)),
            ("selection", _selections, (root,)),
            ("permutations", _permutations, (root,)),
        ):
            seconds, peaks[name] = in_own_process(work, *arguments)
            best |= seconds
        difference, _ = in_own_process(_largest_difference, root, str(array))
    floor = best[REFERENCE]
    rows = [(name, f"{1e3 * s:.1f}", f"{s / floor:.2f}") for name, s in best.items()]
    print_table(("624 stimuli, 2 threads", "ms, best of 3", "ratio to numpy"), rows)
    megabytes = ", ".join(f"{name} {peak / 1e6:.0f}" for name, peak in peaks.items())
    print(f"\nPeak RSS of each process, MB: {megabytes}.\n")
    print(f"Largest relative difference of F between SQL and numpy: {difference:.1e}.\n")
    _ten_times(best["fexp select --permutations 0"])


def _ten_times(once: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        wh = new_warehouse(directory)
        in_own_process(_store, wh, None, 10)
        seconds, peak = in_own_process(_select, wh.location)
    header = (
        "fexp select --permutations 0, 6,240 stimuli",
        "seconds",
        "ratio to 624 stimuli",
        "peak RSS, MB",
    )
    print_table(header, [("", f"{seconds:.1f}", f"{seconds / once:.1f}", f"{peak / 1e6:.0f}")])


def _reference(array: str) -> dict[str, float]:
    return {REFERENCE: _best(lambda: by_numpy(array))}


def _queries(root: str) -> dict[str, float]:
    wh = Warehouse(root, threads=2)
    return {name: _best(partial(wh.query, query)) for name, query in MACROS.items()}


def _selections(root: str) -> dict[str, float]:
    wh = Warehouse(root, threads=2)
    return {
        "Python anova() (what fexp select runs)": _best(lambda: anova(wh, PLACE)),
        "fexp select --permutations 0": _best(lambda: select(wh, PLACE, Options(permutations=0))),
    }


def _permutations(root: str) -> dict[str, float]:
    wh = Warehouse(root, threads=2)
    work = partial(select, wh, PLACE, Options(permutations=1000))
    return {"fexp select --permutations 1000, once": _best(work, runs=1)}


def _largest_difference(root: str, array: str) -> float:
    f = Warehouse(root, threads=2).query(MACROS["macro expression_anova"])["f_expression"]
    return float(np.max(np.abs(f.to_numpy() / by_numpy(array)["f_expression"] - 1)))


def _select(root: str) -> float:
    return _best(lambda: select(Warehouse(root, threads=2), PLACE, Options(permutations=0)), runs=1)


def _best(work: Callable[[], Any], runs: int = RUNS) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def by_numpy(path: str) -> dict[str, np.ndarray]:
    """The analysis as one writes it in numpy, in double precision; stimuli are in design order."""
    x = np.load(path).astype(np.float64).reshape(IDENTITIES, len(BASIC), -1)
    grand, by_expression, by_identity = x.mean(axis=(0, 1)), x.mean(axis=0), x.mean(axis=1)
    residual = x - by_expression - by_identity[:, None] + grand
    df, df_identity = len(BASIC) - 1, IDENTITIES - 1
    ms_error = np.square(residual).sum(axis=(0, 1)) / (df * df_identity)
    f = IDENTITIES * np.square(by_expression - grand).sum(axis=0) / df / ms_error
    f_identity = len(BASIC) * np.square(by_identity - grand).sum(axis=0) / df_identity / ms_error
    return {
        "f_expression": f,
        "p_expression": stats.f.sf(f, df, df * df_identity),
        "p_identity": stats.f.sf(f_identity, df_identity, df * df_identity),
    }


def _store(wh: Warehouse, array: Path | None, times: int) -> None:
    """Write responses of which 60 % are zero, 624 stimuli to a fragment."""
    n = IDENTITIES * len(BASIC)
    ids = np.arange(n * times)
    labels = {"stimulus_set": "set1", "set_sha256": "0", "image_sha256": "0", "source": "none"}
    stimuli = pl.DataFrame(
        {
            "stimulus_id": ids.astype(np.int32),
            "identity": [f"p{i // len(BASIC):04}" for i in ids],
            "expression": [BASIC[i % len(BASIC)] for i in ids],
        }
    ).with_columns(pl.lit(value).alias(name) for name, value in labels.items())
    tables.append(wh.storage, "stimuli", stimuli)
    layers = json.dumps([{"name": "conv5_3", "shape": [512, 14, 14], "dtype": "float32"}])
    texts = ("architecture", "training", "weights_source", "weights_sha256", "preprocessing")
    row = {"network": "net", "network_group": "net", "layers": layers, "created": datetime.now(UTC)}
    tables.append(wh.storage, "networks", pl.DataFrame([row | dict.fromkeys(texts, "none")]))
    rng = np.random.default_rng(0)
    for start in range(0, n * times, n):
        values = rng.standard_normal((n, UNITS), np.float32)
        values += rng.standard_normal((len(BASIC), UNITS), np.float32)[ids[:n] % len(BASIC)] * 0.1
        np.maximum(values - np.float32(0.25), 0, out=values)
        if array:
            np.save(array, values)
        _commit(wh, values, start)


def _commit(wh: Warehouse, values: np.ndarray, start: int) -> None:
    portion = Portion(
        fragment_id=str(start),
        **PLACE.columns,
        unit_start=0,
        unit_stop=UNITS,
        stimulus_start=start,
        stimulus_stop=start + len(values),
        keep_bits=None,
        precision="fp32",
        run_id="benchmark",
    )
    commit(wh.storage, [write_portion(wh.storage, portion, Held(values))])

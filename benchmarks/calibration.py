"""Inference on noise and planted truth, at full counts (about two hours on 2 cores).

Prints how often noise is decoded within chance, whether p is uniform there, what circular selection
makes of the same noise, and the time and memory of selecting in every fold and shuffle of a layer
of conv5_3's size; then the calibration of selection, of intervals and comparisons, and of
categorical perception.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks import calibration_compare, calibration_morphs, calibration_selection
from benchmarks.setting import UNITS, in_own_process, print_table
from benchmarks.simulated import PLACE, stored
from fexp_store import Warehouse
from fexp_store.analyses.expressions import confuse, decode
from fexp_store.analyses.selectivity.select import Options as SelectOptions
from fexp_store.analyses.selectivity.select import select

SEEDS = 100


def noise(seed: int) -> tuple[bool, float, bool, float]:
    """Decode noise of 24 people x 6 expressions x 20,000 units.

    Returns
    -------
    tuple
        Whether the accuracy of `decode` lies within the central 95 % of its shuffles, its p,
        whether that of `confuse` does, and the accuracy with circular selection.
    """
    values = np.random.default_rng(seed).normal(size=(24 * 6, 20_000))
    with tempfile.TemporaryDirectory() as directory:
        wh = stored(Path(directory) / "warehouse", 24, values)
        nested = decode.decode(wh, PLACE, decode.Options()).found
        confused = confuse.confuse(wh, PLACE, confuse.Options(resamples=1)).found
        select(wh, PLACE, SelectOptions(permutations=0))
        options = decode.Options(selection="circular", shuffles=0)
        circular = decode.decode(wh, PLACE, options).found
    low, high, p = nested.shuffled_low, nested.shuffled_high, nested.p
    assert low is not None
    assert high is not None
    assert p is not None
    inside = low <= nested.accuracy <= high
    return inside, p, low <= confused.accuracy <= high, circular.accuracy


def decode_layer(path: str) -> tuple[float, str]:
    """Time nested decoding of a stored layer; return seconds and the units of its folds."""
    wh = Warehouse(path, memory_limit="512MiB")
    start = time.perf_counter()
    found = decode.decode(wh, PLACE, decode.Options()).found
    return time.perf_counter() - start, f"{found.units_low}–{found.units_high}"


def layer() -> None:
    """Decode 624 images x 100,352 units, of which 500 are tuned; 10 folds, 100 shuffles."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(624, UNITS)).astype(np.float32)
    values[:, :500] += np.tile(np.eye(6)[:, rng.integers(0, 6, 500)], (104, 1)).astype(np.float32)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "warehouse"
        stored(path, 104, values)
        del values
        (seconds, units), peak = in_own_process(decode_layer, str(path))
    print_table(
        (
            "624 x 100,352, 10 folds, 100 shuffles that select again",
            "s",
            "units a fold",
            "peak RSS, MB",
        ),
        [("decode", f"{seconds:.0f}", units, f"{peak / 1e6:.0f}")],
    )


def run() -> None:
    """Print all figures."""
    layer()
    found = [noise(seed) for seed in range(SEEDS)]
    inside, p, confused, circular = (list(column) for column in zip(*found, strict=True))
    uniform = stats.kstest(p, "uniform").pvalue
    print_table(
        (f"noise, {SEEDS} seeds", "decode", "confuse"),
        [
            ("within chance's 95 %", sum(inside), sum(confused)),
            ("p uniform (KS p)", f"{uniform:.3f}", ""),
            ("accuracy, circular selection", f"{np.mean(circular):.3f}", ""),
        ],
    )
    for part in (calibration_selection, calibration_compare, calibration_morphs):
        part.run()

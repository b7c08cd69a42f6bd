"""The geometry of expressions: how unlike the mean patterns of activation of every two are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
import polars as pl
from msgspec import Meta

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.expressions.training import read_training
from fexp_store.analyses.reading.units import UnitSource, reads
from fexp_store.options import record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store


@record
class Options(UnitSource):
    """Options of `rsa`."""

    metric: Annotated[
        Literal["correlation", "euclidean"],
        Meta(description="1 - Pearson's r between patterns, or their distance; our choice."),
    ] = "correlation"


@dataclass(frozen=True)
class Geometry:
    """What `rsa` found for one layer: its rows of ``results/dissimilarity``, and the run."""

    dissimilarity: pl.DataFrame
    run_id: str


def rsa(wh: Warehouse, place: Place, options: Options) -> Geometry:
    """Measure how unlike the mean patterns of every two expressions are, and store it.

    A pattern is the activation of each chosen unit, averaged over the images of an expression.
    Noise makes patterns unlike one another too: the fewer images, the larger the distances.

    References
    ----------
    Kriegeskorte, Mur & Bandettini 2008, Frontiers in Systems Neuroscience 2:4.
    """
    from scipy.spatial.distance import pdist

    run = begin(wh, ANALYSIS, place, options)
    data = read_training(wh, place, options, run)
    names = sorted(set(data.labels.tolist()))
    values = data.values.astype(np.float64)
    patterns = np.stack([values[data.labels == name].mean(axis=0) for name in names])
    pairs = list(combinations(names, 2))
    distances = pl.Series("distance", pdist(patterns, options.metric), nan_to_null=True)
    found = pl.DataFrame(pairs, ["expression_a", "expression_b"], orient="row").with_columns(
        distances
    )
    store(wh.storage, run, {"dissimilarity": found})
    return Geometry(found, run.run_id)


ANALYSIS = Analysis(
    name="rsa",
    example="--units all",
    options=Options,
    run=rsa,
    tables=("dissimilarity",),
    same_if=("network", "layer", "stimulus_set", "units", "metric"),
    shown=lambda found: found.dissimilarity,
    reads=reads,
)

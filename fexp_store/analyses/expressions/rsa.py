"""The geometry of expressions: how unlike the mean patterns of activation of every two are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
import polars as pl
from msgspec import Meta

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.reading.finite import finite_units
from fexp_store.analyses.reading.images import basic_images
from fexp_store.analyses.reading.units import UnitSource, choose_units, reads
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
    """What `rsa` found for one layer.

    Parameters
    ----------
    dissimilarity : DataFrame
        Its rows of ``results/dissimilarity``.
    selection : str
        Where the units were selected, see `units.reads`.
    run_id : str
    """

    dissimilarity: pl.DataFrame
    selection: str
    run_id: str


def rsa(wh: Warehouse, place: Place, options: Options) -> Geometry:
    """Measure how unlike the mean patterns of every two expressions are, and store it.

    A pattern is the activation of each chosen unit, averaged over the images of an expression.
    Noise makes patterns unlike one another too: the fewer images, the larger the distances. Units
    that were selected on these images make expressions unlike one another even in noise, so that
    the result is then descriptive.

    References
    ----------
    Kriegeskorte, Mur & Bandettini 2008, Frontiers in Systems Neuroscience 2:4.
    """
    from scipy.spatial.distance import pdist

    run = begin(wh, ANALYSIS, place, options)
    rows, stimuli = basic_images(wh, place)
    (chosen,) = choose_units(wh, place, options, run.parameters)
    chosen = finite_units(wh, place, [place.stimulus_set], chosen)
    values = wh.matrix(*place, units=chosen).values[rows].astype(np.float64)
    shown = stimuli["expression"].to_numpy()
    names = np.unique(shown)
    patterns = np.stack([values[shown == name].mean(axis=0) for name in names])
    pairs = list(combinations(names.tolist(), 2))
    distances = pl.Series("distance", pdist(patterns, options.metric), nan_to_null=True)
    found = pl.DataFrame(pairs, ["expression_a", "expression_b"], orient="row").with_columns(
        distances
    )
    store(wh.storage, run, {"dissimilarity": found})
    return Geometry(found, run.parameters["selection"], run.run_id)


def _said(found: Geometry) -> Iterator[str]:
    if found.selection == "circular":
        yield "Descriptive: the units were selected on these images, as unlike as they are here."


ANALYSIS = Analysis(
    name="rsa",
    example="--units all",
    options=Options,
    run=rsa,
    tables=("dissimilarity",),
    same_if=("network", "layer", "stimulus_set", "units", "metric"),
    shown=lambda found: found.dissimilarity,
    said=_said,
    reads=reads,
)

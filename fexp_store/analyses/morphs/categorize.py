"""Categorical perception of morphs: identification, its fits, and discrimination, stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import polars as pl
from msgspec import Meta

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.expressions.training import Training, read_training
from fexp_store.analyses.morphs.identification import (
    CONTINUUM,
    Prototypes,
    choices,
    discrimination,
    identify,
)
from fexp_store.analyses.reading.images import read_some
from fexp_store.analyses.reading.units import reads
from fexp_store.errors import BadInput
from fexp_store.options import Count, record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store


@record
class Options(Training):
    """Options of `categorize`.

    Whether the study's classifier knew six expressions or the two ends is not known to us.
    """

    morphs: Annotated[str, Meta(description="Name of the set of morphs.")]
    two_way: Annotated[
        bool, Meta(description="The classifier knows only the two ends; our choice is not.")
    ] = False
    resamples: Annotated[
        Count, Meta(description="Bootstrap samples of identities; our choice.")
    ] = 1000


@dataclass(frozen=True)
class Categorical:
    """What `categorize` found for one layer.

    Parameters
    ----------
    identification : DataFrame
        morph_from, morph_to, morph_level, n_identities, proportion.
    fits : DataFrame
        One row per continuum and model, see ``results/categorical_fit``.
    tests : DataFrame
        See `paired_fit_tests`.
    run_id : str
    """

    identification: pl.DataFrame
    fits: pl.DataFrame
    tests: pl.DataFrame
    run_id: str


def categorize(wh: Warehouse, place: Place, options: Options) -> Categorical:
    """Identify morphs by a classifier that knows the prototypes of other people.

    The prototypes are the images of the six basic expressions in the set of stimuli. Tells the
    fits of a line, a parabola and a logistic to each continuum.

    Raises
    ------
    BadInput
        If the set of morphs has none.

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figure 3.
    """
    # scipy's optimisers take half a second to import, and most commands need none of it.
    from fexp_store.analyses.morphs.curves import MODELS
    from fexp_store.analyses.morphs.fits import fit_rows, paired_fit_tests

    run = begin(wh, ANALYSIS, place, options)
    data = read_training(wh, place, options, run)
    is_morph = pl.col("morph_level").is_not_null()
    read = read_some(wh, place._replace(stimulus_set=options.morphs), data.unit_ids, is_morph)
    if read.stimuli.is_empty():
        raise BadInput(f"{options.morphs} has no morphs: no stimulus of it has a morph_level.")
    answers = identify(
        Prototypes(data.values, data.labels, data.identities),
        read.values,
        read.stimuli,
        options,
        folds=options.folds,
        two_way=options.two_way,
    )
    distances = discrimination(read.values, read.stimuli)
    curves, fits = [], []
    for ends, wide in choices(read.stimuli, answers).items():
        levels = wide["morph_level"].to_numpy()
        second = wide.drop("morph_level").to_numpy()
        here = dict(zip(CONTINUUM, ends, strict=True))
        names = [pl.lit(value).alias(name) for name, value in here.items()]
        curves.append(
            wide.select(
                *names,
                "morph_level",
                pl.lit(second.shape[1]).alias("n_identities"),
                pl.Series("proportion", second.mean(axis=1)),
            )
        )
        near = distances.filter(**here)
        fitted = fit_rows(levels, second, near, options.resamples, options.seed)
        fits.append(fitted.select(*names, pl.all()))
    all_fits = pl.concat(fits)
    r2 = {model: all_fits.filter(model=model)["r2"].to_list() for model in MODELS}
    found = Categorical(pl.concat(curves), all_fits, paired_fit_tests(r2), run.run_id)
    frames = {
        "identification": found.identification,
        "discrimination": distances,
        "categorical_fit": found.fits,
        "fit_tests": found.tests,
    }
    store(wh.storage, run, frames)
    return found


def _said(found: Categorical) -> Iterator[str]:
    for row in found.tests.filter(test="t", model_a="logistic").iter_rows(named=True):
        if row["p"] is not None:
            yield (
                f"R2 of logistic minus {row['model_b']}: {row['difference']:.3f}, paired t "
                f"{row['statistic']:.2f}, p {row['p_holm']:.3g} (Holm), {row['n']} continua."
            )


ANALYSIS = Analysis(
    name="categorize",
    example="--morphs morphs",
    options=Options,
    run=categorize,
    tables=("identification", "discrimination", "categorical_fit", "fit_tests"),
    same_if=("network", "layer", "stimulus_set", "morph_set", "units", "two_way"),
    shown=lambda found: found.fits.drop("parameters"),
    said=_said,
    reads=reads,
)

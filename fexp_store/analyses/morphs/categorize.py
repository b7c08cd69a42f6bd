"""Categorical perception of morphs: identification, its fits, and discrimination, stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from msgspec import Meta

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.expressions.training import Training, read_training, reads
from fexp_store.analyses.morphs.continuum import (
    CONTINUUM,
    Continuum,
    Products,
    check_complete,
    continua,
)
from fexp_store.analyses.morphs.identification import identify
from fexp_store.analyses.reading.images import images_where
from fexp_store.errors import BadInput
from fexp_store.options import Count, record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store


@record
class Options(Training):
    """Options of `categorize`.

    Whether the study's classifier knew six expressions or the two ends is not known to us; its
    curves run from 0 to 1, which answers in six ways cannot where a full expression is often taken
    for a third one.
    """

    morphs: Annotated[str, Meta(description="Name of the set of morphs.")]
    two_way: Annotated[
        bool,
        Meta(
            description="The classifier knows only the two ends, not all expressions; our choice."
        ),
    ] = True
    resamples: Annotated[
        Count, Meta(description="Bootstrap samples of identities; our choice.")
    ] = 1000
    simulations: Annotated[
        Count, Meta(description="Simulated linear codes, the null of the peak; our choice.")
    ] = 1000


@dataclass(frozen=True)
class Categorical:
    """What `categorize` found for one layer.

    Parameters
    ----------
    frames : dict of str to DataFrame
        The rows of each table of `ANALYSIS`, without the columns that the run fills in.
    run_id : str
    """

    frames: dict[str, pl.DataFrame]
    run_id: str

    @property
    def identification(self) -> pl.DataFrame:
        """morph_from, morph_to, morph_level, n_identities, proportion."""
        return self.frames["identification"]

    @property
    def fits(self) -> pl.DataFrame:
        """One row per continuum and model, see ``results/categorical_fit``."""
        return self.frames["categorical_fit"]

    @property
    def tests(self) -> pl.DataFrame:
        """See `fit_tests`."""
        return self.frames["fit_tests"]

    @property
    def categorical(self) -> pl.DataFrame:
        """One row per continuum, see ``results/categorical``."""
        return self.frames["categorical"]


def categorize(wh: Warehouse, place: Place, options: Options) -> Categorical:
    """Identify morphs by a classifier that knows the prototypes of other people.

    The prototypes are the images of the six basic expressions in the set of stimuli. Tells the
    fits of a line, a parabola and a logistic to each continuum, and whether neighbouring morphs are
    farther apart where identification changes than linear codes are.

    Raises
    ------
    BadInput
        If the set of morphs has none, or a continuum lacks a level of an identity.

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figure 3.
    """
    run = begin(wh, ANALYSIS, place, options)
    prototypes = read_training(wh, place)
    morph_place = place._replace(stimulus_set=options.morphs)
    rows, morphs = images_where(wh, morph_place, pl.col("morph_level").is_not_null())
    if morphs.is_empty():
        raise BadInput(f"{options.morphs} has no morphs: no stimulus of it has a morph_level.")
    check_complete(morphs)
    answers, products = identify(
        wh,
        (place, morph_place),
        options,
        run,
        prototypes,
        (rows, morphs),
        two_way=options.two_way,
    )
    frames = found_of(answers, products, options)
    taught = pl.lit(place.stimulus_set).alias("train_set")
    frames["morph_answers"] = answers.select(*ANSWER, taught)
    found = Categorical(frames, run.run_id)
    store(wh.storage, run, found.frames)
    return found


def found_of(
    answers: pl.DataFrame, products: Products, options: Options
) -> dict[str, pl.DataFrame]:
    """All that is stored of a run, from the answers and the inner products alone.

    Parameters
    ----------
    answers : DataFrame
        See `identify`.
    products : mapping
        Inner products between the levels of each identity's continuum, see `identify`.
    """
    # scipy's optimisers take half a second to import, and most commands need none of it.
    from fexp_store.analyses.morphs.curves import MODELS
    from fexp_store.analyses.morphs.discrimination import with_decisions
    from fexp_store.analyses.morphs.fits import fit_tests

    linear = options.two_way and options.kernel == "linear"
    parts: dict[str, list[pl.DataFrame]] = {}
    for i, continuum in enumerate(continua(answers, products, linear=linear)):
        rng = np.random.default_rng([options.seed, i])
        names = [
            pl.lit(value).alias(name) for name, value in zip(CONTINUUM, continuum.ends, strict=True)
        ]
        for table, rows in _of_continuum(continuum, options, rng).items():
            parts.setdefault(table, []).append(rows.select(*names, pl.all()))
    frames = {table: pl.concat(rows) for table, rows in parts.items()}
    frames["categorical"] = with_decisions(frames["categorical"])
    fits = frames["categorical_fit"]
    r2 = {model: fits.filter(model=model)["r2"].to_list() for model in MODELS}
    frames["fit_tests"] = fit_tests(r2)
    return frames


def _of_continuum(
    continuum: Continuum, options: Options, rng: np.random.Generator
) -> dict[str, pl.DataFrame]:
    from fexp_store.analyses.morphs.discrimination import (
        CATEGORICAL,
        categorical_row,
        discrimination_rows,
        identity_rows,
    )
    from fexp_store.analyses.morphs.fits import fit_rows
    from fexp_store.analyses.morphs.linear_codes import simulated_identification
    from fexp_store.analyses.morphs.peak import peak

    levels = continuum.levels
    null_curves = np.empty((0, len(levels)))
    if continuum.decisions is not None and len(levels) > 2:
        null_curves = simulated_identification(
            continuum.decisions, levels, options.simulations, rng
        )
    found = peak(continuum, options.simulations, rng)
    distances = discrimination_rows(continuum, found)
    fits = fit_rows(continuum, distances, null_curves, options.resamples, rng)
    curve = {
        "morph_level": levels,
        "n_identities": [len(continuum.identities)] * len(levels),
        "proportion": continuum.second.mean(axis=1),
    }
    return {
        "identification": pl.DataFrame(curve),
        "discrimination": distances,
        "categorical_fit": fits,
        "categorical": pl.DataFrame([categorical_row(continuum, found, fits)], schema=CATEGORICAL),
        "categorical_identity": identity_rows(continuum, found),
    }


def _said(found: Categorical) -> Iterator[str]:
    decided = found.categorical
    if decided["p"].null_count() < decided.height:
        yield (
            "Neighbours are farther apart where identification changes than in linear codes: "
            f"{decided['categorical'].sum()} of {decided.height} continua (p < .025, Holm)."
        )
    logistic = found.fits.filter(pl.col("boundary").is_not_null(), model="logistic")
    steep = logistic["slope"].null_count()
    if steep:
        yield (
            f"The slope is not estimable in {steep} of {logistic.height} continua: identification "
            "may change between two neighbouring levels."
        )
    for row in found.tests.filter(test="t", model_a="logistic").iter_rows(named=True):
        if row["p"] is not None:
            yield (
                f"R2 of logistic minus {row['model_b']}: {row['difference']:.3f}, paired t "
                f"{row['statistic']:.2f}, p {row['p_holm']:.3g} (Holm), {row['n']} continua."
            )


ANSWER = (
    "stimulus_set",
    "stimulus_id",
    "identity",
    *CONTINUUM,
    "morph_level",
    "fold",
    "n_units",
    "response",
    "decision",
)
ANALYSIS = Analysis(
    name="categorize",
    example="--morphs morphs",
    options=Options,
    run=categorize,
    tables=(
        "categorical",
        "categorical_identity",
        "identification",
        "discrimination",
        "categorical_fit",
        "fit_tests",
        "morph_answers",
    ),
    same_if=("network", "layer", "stimulus_set", "morph_set", "units", "selection", "two_way"),
    shown=lambda found: found.categorical,
    said=_said,
    reads=reads,
)

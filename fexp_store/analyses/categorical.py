"""Categorical perception of morphs: identification, its fits, and discrimination, stored."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from fexp_store.analyses.categorical_fit import fit_rows, paired_fit_tests
from fexp_store.analyses.curves import MODELS
from fexp_store.analyses.identification import (
    CONTINUUM,
    Prototypes,
    choices,
    discrimination,
    identify,
)
from fexp_store.analyses.lesson import begin, read_some
from fexp_store.analyses.results import store
from fexp_store.errors import BadInput
from fexp_store.warehouse import Warehouse


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


def categorize(
    wh: Warehouse,
    network: str,
    layer: str,
    stimulus_set: str,
    morph_set: str,
    *,
    units: str = "selective",
    selected_on: str | None = None,
    components: int = 50,
    kernel: str = "linear",
    c: float = 1.0,
    folds: int = 10,
    seed: int = 0,
    two_way: bool = False,
    resamples: int = 1000,
) -> Categorical:
    """Identify morphs by a classifier trained on the prototypes of other identities.

    Parameters
    ----------
    stimulus_set : str
        The prototypes: images of the six basic expressions.
    morph_set : str
        Stimuli with morph_from, morph_to and morph_level.
    units, selected_on
        See `choose_units`; `selected_on` is `stimulus_set` by default.
    components, kernel, c
        See `Classifier`.
    folds : int
        See `identify`.
    seed : int
        Of the bootstrap and of random units.
    two_way : bool
        Let the classifier know only the two ends of the continuum instead of all expressions.
        Which of the two the study did is not known to us; six-way is our choice.
    resamples : int
        Bootstrap samples of identities; 1000 is our choice.

    Returns
    -------
    Categorical

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figure 3.
    """
    place = {"network": network, "layer": layer, "stimulus_set": stimulus_set}
    options = {"morph_set": morph_set, "two_way": two_way}
    options |= {"components": components, "kernel": kernel, "c": c}
    options |= {"folds": folds, "seed": seed, "resamples": resamples}
    lesson = begin(wh, "categorize", place, units, selected_on, options)
    is_morph = pl.col("morph_level").is_not_null()
    read = read_some(wh, network, layer, morph_set, lesson.unit_ids, is_morph)
    if read.stimuli.is_empty():
        raise BadInput(f"{morph_set} has no morphs: no stimulus of it has a morph_level.")
    morphs, responses = read.stimuli, read.values
    prototypes = Prototypes(lesson.values, lesson.labels, lesson.identities)
    answers = identify(
        prototypes, responses, morphs, lesson.classifier, folds=folds, two_way=two_way
    )
    distances = discrimination(responses, morphs)
    curves, fits = [], []
    for ends, wide in choices(morphs, answers).items():
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
        fitted = fit_rows(levels, second, distances.filter(**here), resamples, seed)
        fits.append(fitted.select(*names, pl.all()))
    all_fits = pl.concat(fits)
    r2 = {model: all_fits.filter(model=model)["r2"].to_list() for model in MODELS}
    found = Categorical(pl.concat(curves), all_fits, paired_fit_tests(r2), lesson.run.run_id)
    frames = {
        "identification": found.identification,
        "discrimination": distances,
        "categorical_fit": found.fits,
        "fit_tests": found.tests,
    }
    columns = {"morph_set": morph_set, "two_way": two_way}
    store(wh, lesson.run, lesson.key | columns, frames)
    return found

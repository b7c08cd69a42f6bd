"""Which expressions a network confuses, on other images or other people, and do humans too?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.classifier import similarities
from fexp_store.analyses.decoding import cross_validate, prediction_rows
from fexp_store.analyses.lesson import begin, read_basic
from fexp_store.analyses.responses import similar_observers
from fexp_store.analyses.results import store
from fexp_store.analyses.similarity import confusion_counts
from fexp_store.warehouse import Warehouse


@dataclass(frozen=True)
class Confusion:
    """What `confuse` found for one layer.

    Parameters
    ----------
    accuracy, low, high : float
        Accuracy on the test images, and its 2.5 % and 97.5 % bootstrap quantiles.
    shared_identities : int
        Identities that both sets have, where they differ: the test images are then not all of
        people unseen in training.
    matrix : DataFrame
        depicted, response, count, proportion.
    similarity : DataFrame
        See `similar_observers`.
    run_id : str
    """

    accuracy: float
    low: float
    high: float
    shared_identities: int
    matrix: pl.DataFrame
    similarity: pl.DataFrame
    run_id: str


def bootstrap_accuracy(
    right: NDArray[np.bool_], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Accuracy over test images drawn with replacement.

    Parameters
    ----------
    right : ndarray of shape (n_images,), bool
        Whether each image was answered as depicted.
    resamples : int

    Returns
    -------
    ndarray of shape (resamples,)
        The number right in a draw of n images is binomial.
    """
    return rng.binomial(len(right), right.mean(), resamples) / len(right)


def confuse(
    wh: Warehouse,
    network: str,
    layer: str,
    stimulus_set: str,
    test_set: str | None = None,
    *,
    units: str = "selective",
    selected_on: str | None = None,
    components: int = 50,
    kernel: str = "linear",
    c: float = 1.0,
    folds: int = 10,
    seed: int = 0,
    resamples: int = 1000,
) -> Confusion:
    """Train on one set, classify another, and compare the confusions with those of people.

    Parameters
    ----------
    test_set : str, optional
        Set to classify; without it, `stimulus_set` is cross-validated over identities.
    units, selected_on
        See `choose_units`; `selected_on` is `stimulus_set` by default.
    components, kernel, c
        See `Classifier`.
    folds
        See `cross_validate`; only used without `test_set`.
    seed : int
        Of the folds and of the bootstrap.
    resamples : int
        Bootstrap samples of the test images (the histogram of figure 4A). The study's number is
        not known to us; 1000 is our choice.

    Returns
    -------
    Confusion

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figures 2 and 4.
    """
    tested = test_set or stimulus_set
    place = {"network": network, "layer": layer, "stimulus_set": stimulus_set}
    options = {"test_set": tested, "components": components, "kernel": kernel, "c": c}
    options |= {"folds": folds, "seed": seed, "resamples": resamples}
    lesson = begin(wh, "confuse", place, units, selected_on, options)
    shared = 0
    if tested == stimulus_set:
        found = cross_validate(
            lesson.values,
            lesson.labels,
            lesson.identities,
            classifier=lesson.classifier,
            folds=folds,
            seed=seed,
        )
        predictions = prediction_rows(found.answers[0], lesson.stimuli, found.fold)
    else:
        others = read_basic(wh, network, layer, tested, lesson.unit_ids)
        images = similarities(lesson.values, others.values, lesson.classifier)
        predictions = prediction_rows(images.classify(lesson.labels), others.stimuli)
        shared = len(set(others.stimuli["identity"]) & set(lesson.identities))

    right = (predictions["depicted"] == predictions["response"]).to_numpy()
    drawn = bootstrap_accuracy(right, resamples, np.random.default_rng(seed))
    expressions = sorted(set(predictions["depicted"]) | set(lesson.labels.tolist()))
    matrix = confusion_counts(
        predictions["depicted"].to_list(), predictions["response"].to_list(), expressions
    )
    table = matrix["count"].to_numpy().reshape(len(expressions), -1).astype(float)
    similarity = similar_observers(table, expressions, wh)
    accuracies = pl.DataFrame(
        {"resample": range(resamples + 1), "accuracy": [right.mean(), *drawn]}
    )
    frames = {
        "confusion": matrix,
        "generalisation": accuracies,
        "similarity": similarity,
    }
    tested_column = pl.lit(tested).alias("test_set")
    frames = {name: rows.with_columns(tested_column) for name, rows in frames.items()}
    store(wh, lesson.run, lesson.key, frames | {"predictions": predictions})
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Confusion(
        float(right.mean()), float(low), float(high), shared, matrix, similarity, lesson.run.run_id
    )

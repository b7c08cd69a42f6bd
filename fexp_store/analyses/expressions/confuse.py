"""Which expressions a network confuses, on other images or other people, and do humans too?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.expressions.classifier import similarities
from fexp_store.analyses.expressions.cross_validation import cross_validate, prediction_rows
from fexp_store.analyses.expressions.humans import similar_observers
from fexp_store.analyses.expressions.similarity import confusion_counts
from fexp_store.analyses.expressions.training import (
    Training,
    TrainingData,
    read_training,
)
from fexp_store.analyses.reading.images import read_basic
from fexp_store.analyses.reading.units import reads
from fexp_store.options import Count, record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store


@record
class Options(Training):
    """Options of `confuse`. The study's number of resamples is not known to us."""

    test: Annotated[
        str | None, Meta(description="Set to classify; by default --stimuli, cross-validated.")
    ] = None
    resamples: Annotated[Count, Meta(description="Bootstrap samples; our choice.")] = 1000


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


def confuse(wh: Warehouse, place: Place, options: Options) -> Confusion:
    """Train on one set, classify another, and correlate the confusions with those of people.

    Without a test set, the training set is cross-validated over identities. Tells the similarity
    with each human table of the view `responses` (rows normalised; p by relabelling the
    expressions). The bootstrap draws test images (the histogram of figure 4A).

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figures 2 and 4.
    """
    run = begin(wh, ANALYSIS, place, options)
    data = read_training(wh, place, options, run)
    tested = place._replace(stimulus_set=run.parameters["test_set"])
    predictions = _classify(wh, tested, data, options, cross_validated=tested == place)
    shared = set()
    if tested != place:
        people = wh.frame("FROM stimuli WHERE stimulus_set = $name", name=tested.stimulus_set)
        kept = people.join(predictions, on="stimulus_id", how="semi")
        shared = set(kept["identity"]) & set(data.identities)
    right = (predictions["depicted"] == predictions["response"]).to_numpy()
    drawn = bootstrap_accuracy(right, options.resamples, np.random.default_rng(options.seed))
    expressions = sorted(set(predictions["depicted"]) | set(data.labels.tolist()))
    matrix = confusion_counts(
        predictions["depicted"].to_list(), predictions["response"].to_list(), expressions
    )
    table = matrix["count"].to_numpy().reshape(len(expressions), -1).astype(float)
    similarity = similar_observers(table, expressions, wh)
    resamples = range(options.resamples + 1)
    frames = {
        "confusion": matrix,
        "generalisation": pl.DataFrame({"resample": resamples, "accuracy": [right.mean(), *drawn]}),
        "similarity": similarity,
        "predictions": predictions,
    }
    store(wh.storage, run, frames)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Confusion(
        float(right.mean()), float(low), float(high), len(shared), matrix, similarity, run.run_id
    )


def _classify(
    wh: Warehouse, tested: Place, data: TrainingData, options: Options, *, cross_validated: bool
) -> pl.DataFrame:
    if not cross_validated:
        others = read_basic(wh, tested, data.unit_ids)
        images = similarities(data.values, others.values, options)
        return prediction_rows(images.classify(data.labels), others.stimuli)
    found = cross_validate(
        data.values,
        data.labels,
        data.identities,
        classifier=options,
        folds=options.folds,
        seed=options.seed,
    )
    return prediction_rows(found.answers[0], data.stimuli, found.fold)


def _said(found: Confusion) -> Iterator[str]:
    interval = f"{found.low:.3f} to {found.high:.3f}"
    yield f"Accuracy {found.accuracy:.3f} ({interval} over resampled images)."
    if found.shared_identities:
        yield f"{found.shared_identities} identities are in both sets: not all are unseen."


ANALYSIS = Analysis(
    name="confuse",
    example="--test others",
    options=Options,
    run=confuse,
    tables=("confusion", "similarity", "generalisation", "predictions"),
    same_if=("network", "layer", "stimulus_set", "test_set", "units"),
    shown=lambda found: found.similarity,
    said=_said,
    reads=reads,
)

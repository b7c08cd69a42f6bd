"""Which expressions a network confuses, on other images or other people, and do humans too?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from msgspec import Meta

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.expressions.classification import Classification, classification
from fexp_store.analyses.expressions.classify import classify_held_out, classify_others
from fexp_store.analyses.expressions.corrected import identity_tables
from fexp_store.analyses.expressions.humans import similar_observers
from fexp_store.analyses.expressions.rows import prediction_rows
from fexp_store.analyses.expressions.similarity import confusion_counts
from fexp_store.analyses.expressions.training import Training, read_training, reads
from fexp_store.analyses.reading.images import basic_images
from fexp_store.analyses.resampling import resampled_accuracies
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
    resamples: Annotated[
        Count, Meta(description="Bootstrap samples of identities; our choice.")
    ] = 1000


@dataclass(frozen=True)
class Confusion:
    """What `confuse` found for one layer.

    Parameters
    ----------
    found : Classification
    shared_identities : int
        Identities that both sets have, where they differ: the test images are then not all of
        people unseen in training.
    matrix : DataFrame
        depicted, response, count, proportion.
    similarity : DataFrame
        See `similar_observers`.
    run_id : str
    """

    found: Classification
    shared_identities: int
    matrix: pl.DataFrame
    similarity: pl.DataFrame
    run_id: str


def confuse(wh: Warehouse, place: Place, options: Options) -> Confusion:
    """Train on one set, classify another, and correlate the confusions with those of people.

    Without a test set, the training set is cross-validated over identities. Tells the similarity
    with each human table of the view `responses` (rows normalised; p by relabelling the
    expressions). The bootstrap draws identities of the test images (compare the histogram of
    figure 4A, which fits images drawn one by one).

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figures 2 and 4.
    """
    run = begin(wh, ANALYSIS, place, options)
    training = read_training(wh, place)
    tested = place._replace(stimulus_set=run.parameters["test_set"])
    if tested == place:
        stimuli, shared = training.stimuli, set[str]()
        found = classify_held_out(wh, place, options, run, training)
    else:
        _, stimuli = basic_images(wh, tested)
        shared = set(stimuli["identity"]) & set(training.identities.tolist())
        found = classify_others(wh, place, tested, options, run, training)
    identities = np.array(stimuli["identity"].to_list(), dtype=str)
    summed_up = classification(found, identities, run)
    predictions = prediction_rows(found, stimuli, place.stimulus_set)
    drawn = resampled_accuracies(
        found.right[0], identities, options.resamples, np.random.default_rng(options.seed)
    )
    expressions = sorted(set(predictions["depicted"]) | set(training.labels.tolist()))
    matrix = confusion_counts(
        predictions["depicted"].to_list(), predictions["response"].to_list(), expressions
    )
    table = matrix["count"].to_numpy().reshape(len(expressions), -1).astype(float)
    by_identity = identity_tables(
        predictions["depicted"].to_list(),
        predictions["response"].to_list(),
        identities.tolist(),
        expressions,
    )
    similarity = similar_observers(table, expressions, wh, by_identity)
    accuracies = [found.right[0].mean(), *drawn]
    frames = {
        "confusion": matrix,
        "generalisation": pl.DataFrame(
            {"resample": range(len(accuracies)), "accuracy": accuracies}
        ),
        "similarity": similarity,
        "predictions": predictions,
        "classification": summed_up.row,
    }
    store(wh.storage, run, frames)
    return Confusion(summed_up, len(shared), matrix, similarity, run.run_id)


def _said(confusion: Confusion) -> Iterator[str]:
    found = confusion.found
    interval = ""
    if found.accuracy_low is not None:
        interval = (
            f" (95 %, over identities: {found.accuracy_low:.3f} to {found.accuracy_high:.3f})"
        )
    yield f"Accuracy {found.accuracy:.3f}{interval}; always the majority: {found.majority:.3f}."
    if confusion.shared_identities:
        yield f"{confusion.shared_identities} identities are in both sets: not all are unseen."
    yield from found.said()


ANALYSIS = Analysis(
    name="confuse",
    example="--test others",
    options=Options,
    run=confuse,
    tables=("confusion", "similarity", "generalisation", "predictions", "classification"),
    same_if=("network", "layer", "stimulus_set", "test_set", "units", "selection"),
    shown=lambda confusion: confusion.similarity,
    said=_said,
    reads=reads,
)

"""Classifying the images of a layer: in which units, taught what, and with which answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fexp_store.analyses.expressions.choosing import choose_spaces
from fexp_store.analyses.expressions.classifier import Labels
from fexp_store.analyses.expressions.cross_validation import (
    Classified,
    Fold,
    Labelling,
    gather,
    make_folds,
    make_labellings,
    make_questions,
    true_and_shuffled,
)
from fexp_store.analyses.expressions.questions import ask
from fexp_store.analyses.expressions.spaces import Images
from fexp_store.analyses.expressions.training import Training, TrainingImages
from fexp_store.analyses.reading.images import basic_images
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Run


def classify_held_out(
    wh: Warehouse,
    place: Place,
    options: Training,
    run: Run,
    training: TrainingImages,
    shuffles: int = 0,
) -> Classified:
    """Classify each training image by a classifier that was taught other identities."""
    folds = make_folds(training.identities, options.folds, options.seed)
    labellings = _labellings(options, training, shuffles)
    images = Images((place,), (training.rows,))
    depicted = true_and_shuffled(labellings)
    return _classify(wh, options, run, training, images, folds, labellings, depicted)


def classify_others(
    wh: Warehouse,
    place: Place,
    tested: Place,
    options: Training,
    run: Run,
    training: TrainingImages,
) -> Classified:
    """Classify the images of the basic expressions of another set."""
    rows, stimuli = basic_images(wh, tested)
    labellings = _labellings(options, training, 0)
    images = Images((place, tested), (training.rows, rows))
    taught = len(training.rows)
    folds = [Fold(np.arange(taught), np.arange(taught, taught + len(rows)))]
    labels = np.array(stimuli["expression"].to_list(), dtype=str)
    depicted = np.tile(labels, (len(labellings), 1))
    return _classify(wh, options, run, training, images, folds, labellings, depicted)


def _labellings(options: Training, training: TrainingImages, shuffles: int) -> list[Labelling]:
    draws = options.draws if options.units == "random" else 1
    return make_labellings(
        training.labels, training.identities, shuffles=shuffles, draws=draws, seed=options.seed
    )


def _classify(
    wh: Warehouse,
    options: Training,
    run: Run,
    training: TrainingImages,
    images: Images,
    folds: Sequence[Fold],
    labellings: Sequence[Labelling],
    depicted: Labels,
) -> Classified:
    spaces, numbers = choose_spaces(wh, options, run, training, images, folds, labellings)
    questions, asked = zip(*make_questions(folds, labellings, numbers), strict=True)
    answers = ask(wh, images, spaces, questions, options)
    answered = list(zip(questions, answers, asked, strict=True))
    return gather(folds, labellings, depicted, answered)

"""Decoding of expressions, cross-validated over identities, with a control of shuffled labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from fexp_store.analyses.classifier import Classifier, Labels, Values, similarities
from fexp_store.analyses.lesson import begin
from fexp_store.analyses.results import store
from fexp_store.errors import BadInput
from fexp_store.warehouse import Warehouse


@dataclass(frozen=True)
class CrossValidated:
    """Answers of a cross-validation with true labels (row 0) and shuffled ones (further rows).

    Parameters
    ----------
    fold : ndarray of shape (n_images,), int32
        Fold in which an image was held out.
    labels : ndarray of shape (1 + shuffles, n_images), str
    answers : ndarray of shape (1 + shuffles, n_images), str
    """

    fold: NDArray[np.int32]
    labels: Labels
    answers: Labels

    def accuracies(self) -> NDArray[np.float64]:
        """Accuracy of each fold: shape (1 + shuffles, n_folds)."""
        right = self.labels == self.answers
        folds = range(int(self.fold.max()) + 1)
        return np.stack([right[:, self.fold == fold].mean(axis=1) for fold in folds], axis=1)


@dataclass(frozen=True)
class Decoding:
    """What `decode` found for one layer.

    Parameters
    ----------
    images, identities, units : int
        That were classified, and from which.
    accuracy, sd : float
        Mean and standard deviation of the accuracy of the folds.
    chance : float
        1 / number of expressions.
    shuffled, shuffled_low, shuffled_high : float
        Mean and 2.5 % and 97.5 % quantiles of the accuracy with shuffled labels; NaN without any.
    p : float
        (1 + shuffles with an accuracy as high) / (1 + shuffles).
    run_id : str
    """

    images: int
    identities: int
    units: int
    accuracy: float
    sd: float
    chance: float
    shuffled: float
    shuffled_low: float
    shuffled_high: float
    p: float
    run_id: str


def cross_validate(
    values: Values,
    labels: Labels,
    identities: Labels,
    *,
    classifier: Classifier,
    folds: int = 10,
    seed: int = 0,
    shuffles: int = 0,
) -> CrossValidated:
    """Classify each image by a classifier that was trained on other identities.

    Labels are shuffled within each identity, before the folds are made, so that a shuffled
    design has as many images of each expression in each fold as the true one. Principal
    components are fitted once per fold, since they do not depend on labels.

    Parameters
    ----------
    values : ndarray of shape (n_images, n_units)
    labels, identities : ndarray of shape (n_images,), str
    classifier : Classifier
    folds : int
        Of scikit-learn's ``GroupKFold(folds, shuffle=True, random_state=seed)`` over identities;
        as many as identities where there are fewer.
    seed : int
        Of the folds and of the shuffles.
    shuffles : int
        How often labels are shuffled.

    Returns
    -------
    CrossValidated
    """
    folds = min(folds, len(np.unique(identities)))
    if folds < 2:
        raise BadInput("Cross-validation needs two folds and two identities or more.")
    rng = np.random.default_rng(seed)
    shuffled = [shuffle_within(labels, identities, rng) for _ in range(shuffles)]
    every = np.stack([labels, *shuffled])
    answers = np.empty_like(every)
    fold = np.empty(len(labels), dtype=np.int32)
    splitter = GroupKFold(folds, shuffle=True, random_state=seed)
    for number, (train, test) in enumerate(splitter.split(values, groups=identities)):
        fold[test] = number
        images = similarities(values[train], values[test], classifier)
        for row, known in enumerate(every[:, train]):
            answers[row, test] = images.classify(known)
    return CrossValidated(fold, every, answers)


def shuffle_within(labels: Labels, groups: Labels, rng: np.random.Generator) -> Labels:
    """Shuffle labels within each group."""
    order = np.argsort(groups, kind="stable")
    drawn = np.lexsort((rng.random(len(labels)), groups))
    shuffled = np.empty_like(labels)
    shuffled[order] = labels[drawn]
    return shuffled


def decode(
    wh: Warehouse,
    network: str,
    layer: str,
    stimulus_set: str,
    *,
    units: str = "selective",
    selected_on: str | None = None,
    components: int = 50,
    kernel: str = "linear",
    c: float = 1.0,
    folds: int = 10,
    seed: int = 0,
    shuffles: int = 100,
) -> Decoding:
    """Decode the six basic expressions from a layer and store every answer and fold.

    Selective units are selected on the labels of all images, those of test identities included,
    as in the study; give `selected_on` another set to keep the two apart.

    Parameters
    ----------
    units, selected_on
        See `choose_units`; `selected_on` is `stimulus_set` by default.
    components, kernel, c
        See `Classifier`.
    folds, seed, shuffles
        See `cross_validate`. The study has shuffled labels; the numbers are our choice.

    Returns
    -------
    Decoding

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figure 1C. p: Phipson & Smyth
    2010, Statistical Applications in Genetics and Molecular Biology 9:39.
    """
    place = {"network": network, "layer": layer, "stimulus_set": stimulus_set}
    options = {"components": components, "kernel": kernel, "c": c}
    options |= {"folds": folds, "seed": seed, "shuffles": shuffles}
    lesson = begin(wh, "decode", place, units, selected_on, options)
    found = cross_validate(
        lesson.values,
        lesson.labels,
        lesson.identities,
        classifier=lesson.classifier,
        folds=folds,
        seed=seed,
        shuffles=shuffles,
    )
    frames = {
        "decoding": fold_rows(found),
        "predictions": prediction_rows(found.answers[0], lesson.stimuli, found.fold),
    }
    store(wh, lesson.run, lesson.key, frames)
    accuracy, *control = found.accuracies().mean(axis=1)
    low, high = np.quantile(control, (0.025, 0.975)) if control else (np.nan, np.nan)
    return Decoding(
        images=len(lesson.labels),
        identities=lesson.stimuli["identity"].n_unique(),
        units=len(lesson.unit_ids),
        accuracy=float(accuracy),
        sd=float(found.accuracies()[0].std(ddof=1)),
        chance=1 / lesson.stimuli["expression"].n_unique(),
        shuffled=float(np.mean(control)) if control else np.nan,
        shuffled_low=float(low),
        shuffled_high=float(high),
        p=(1 + sum(x >= accuracy - 1e-12 for x in control)) / (1 + len(control)),
        run_id=lesson.run.run_id,
    )


def fold_rows(found: CrossValidated) -> pl.DataFrame:
    """Rows of the table ``results/decoding``: one per shuffle and fold."""
    sizes = np.bincount(found.fold)
    accuracies = found.accuracies()
    shuffle, fold = (x.ravel() for x in np.indices(accuracies.shape, dtype=np.int32))
    return pl.DataFrame(
        {
            "shuffle": shuffle,
            "fold": fold,
            "n_train": (len(found.fold) - sizes)[fold],
            "n_test": sizes[fold],
            "correct": np.rint(accuracies.ravel() * sizes[fold]).astype(np.int32),
            "accuracy": accuracies.ravel(),
        }
    )


def prediction_rows(
    answers: Labels, stimuli: pl.DataFrame, fold: NDArray[np.int32] | None = None
) -> pl.DataFrame:
    """Rows of the table ``results/predictions``: one per image."""
    return stimuli.select(
        pl.col("stimulus_set").alias("test_set"),
        "stimulus_id",
        pl.lit(None, pl.Int32).alias("fold") if fold is None else pl.Series("fold", fold),
        pl.col("expression").alias("depicted"),
        pl.Series("response", answers.tolist()),
    )

"""Cross-validation over identities, with true labels and with shuffled ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.expressions.classifier import Classifier, Labels, Values, similarities
from fexp_store.errors import BadInput


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


def cross_validate(
    values: Values,
    labels: Labels,
    identities: Labels,
    *,
    classifier: Classifier,
    folds: int,
    seed: int,
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
    from sklearn.model_selection import GroupKFold

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
            "majority": majority_accuracies(found).ravel(),
        }
    )


def majority_accuracies(found: CrossValidated) -> NDArray[np.float64]:
    """Accuracy of the most frequent training label (the first by name of equals) in each fold.

    Returns
    -------
    ndarray of shape (1 + shuffles, n_folds)
    """
    names, codes = np.unique(found.labels, return_inverse=True)
    is_label = codes.reshape(found.labels.shape)[..., None] == np.arange(len(names))
    folds = range(int(found.fold.max()) + 1)
    held_out = np.stack([is_label[:, found.fold == fold].sum(axis=1) for fold in folds], axis=1)
    majority = (is_label.sum(axis=1, keepdims=True) - held_out).argmax(axis=2)
    right = np.take_along_axis(held_out, majority[..., None], axis=2)[..., 0]
    return np.asarray(right / held_out.sum(axis=2))


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

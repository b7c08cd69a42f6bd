"""Cross-validation over identities, with true labels and with shuffled ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.expressions.classifier import Classifier, Labels, Values
from fexp_store.analyses.expressions.questions import Answer, Question, answer, majority
from fexp_store.analyses.expressions.spaces import Rows, Space, as_bits, products_of
from fexp_store.errors import BadInput


@dataclass(frozen=True)
class Fold:
    """Images that a classifier is taught and images that it is then shown, of other identities."""

    train: Rows
    test: Rows


@dataclass(frozen=True)
class Labelling:
    """Labels that classifiers are taught, and the draw of units that they use.

    Parameters
    ----------
    shuffle : int
        0 for the true labels; 1, 2, … for shuffled ones.
    draw : int
        Number of the random draw of units, from 0; 0 for units that are not drawn.
    labels : ndarray of shape (n_images,), str
    """

    shuffle: int
    draw: int
    labels: Labels


@dataclass(frozen=True)
class Classified:
    """Answers of the classifiers of each labelling and fold.

    Parameters
    ----------
    fold : ndarray of shape (n_images,), int32
        Fold in which an image was held out.
    labellings : sequence of Labelling
    labels : ndarray of shape (n_labellings, n_images), str
        What each image depicts, or what a shuffle says that it does.
    answers : ndarray of shape (n_labellings, n_images), str
    majorities : ndarray of shape (n_labellings, n_folds), str
        The most frequent training label, the first by name of equals.
    n_units, components : ndarray of shape (n_labellings, n_folds), int32
        Units and principal components of each classifier; 0 where no unit was selected, and the
        majority is the answer.
    """

    fold: NDArray[np.int32]
    labellings: Sequence[Labelling]
    labels: Labels
    answers: Labels
    majorities: Labels
    n_units: NDArray[np.int32]
    components: NDArray[np.int32]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which images are answered as labelled: shape (n_labellings, n_images)."""
        return self.labels == self.answers

    @property
    def majority_right(self) -> NDArray[np.bool_]:
        """Which images would be if each classifier always answered the majority."""
        return self.labels == self.majorities[:, self.fold]

    def accuracies(self) -> NDArray[np.float64]:
        """Accuracy of each fold: shape (n_labellings, n_folds)."""
        return self.by_fold(self.right)

    def by_fold(self, right: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean over the images of each fold: shape (n_labellings, n_folds)."""
        folds = range(int(self.fold.max()) + 1)
        return np.stack([right[:, self.fold == fold].mean(axis=1) for fold in folds], axis=1)


def make_folds(identities: Labels, folds: int, seed: int) -> list[Fold]:
    """Divide images by identity.

    Parameters
    ----------
    identities : ndarray of shape (n_images,), str
    folds : int
        Of scikit-learn's ``GroupKFold(folds, shuffle=True, random_state=seed)`` over identities;
        as many as identities where there are fewer.

    Raises
    ------
    BadInput
        If there are fewer than two identities.
    """
    from sklearn.model_selection import GroupKFold

    folds = min(folds, len(np.unique(identities)))
    if folds < 2:
        raise BadInput("Cross-validation needs two folds and two identities or more.")
    splitter = GroupKFold(folds, shuffle=True, random_state=seed)
    return [Fold(*split) for split in splitter.split(identities, groups=identities)]


def make_labellings(
    labels: Labels, identities: Labels, *, shuffles: int, draws: int, seed: int
) -> list[Labelling]:
    """Return the true labels for each draw of units, then shuffled ones.

    Labels are shuffled within each identity, before the folds are made, so that a shuffled
    design has as many images of each expression in each fold as the true one. The shuffles take
    turns in using the draws.
    """
    rng = np.random.default_rng(seed)
    true = [Labelling(0, draw, labels) for draw in range(draws)]
    return true + [
        Labelling(1 + i, i % draws, shuffle_within(labels, identities, rng))
        for i in range(shuffles)
    ]


Asked = tuple[int, list[int]]
"""The number of the fold that a question is about, and those of the labellings."""


def make_questions(
    folds: Sequence[Fold], labellings: Sequence[Labelling], spaces: NDArray[np.intp]
) -> list[tuple[Question, Asked]]:
    """Ask each fold and labelling in its space; labellings that share one are one question.

    Parameters
    ----------
    spaces : ndarray of shape (n_labellings, n_folds), int
        Number of the space of each.
    """
    questions = []
    for number, fold in enumerate(folds):
        for space in np.unique(spaces[:, number]):
            here = np.flatnonzero(spaces[:, number] == space).tolist()
            labels = np.stack([labellings[i].labels[fold.train] for i in here])
            question = Question(int(space), fold.train, fold.test, labels)
            questions.append((question, (number, here)))
    return questions


def gather(
    folds: Sequence[Fold],
    labellings: Sequence[Labelling],
    depicted: Labels,
    answered: Sequence[tuple[Question, Answer, Asked]],
) -> Classified:
    """Put the answers to the questions of `make_questions` together.

    Parameters
    ----------
    depicted : ndarray of shape (n_labellings, n_tested), str
        Labels of the images that are tested, which are the last of all images.
    """
    first = min(fold.test.min() for fold in folds)
    shape = (len(labellings), len(folds))
    answers = np.empty(depicted.shape, dtype=labellings[0].labels.dtype)
    majorities = np.empty(shape, dtype=answers.dtype)
    n_units, components = np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.int32)
    held_out = np.empty(depicted.shape[1], dtype=np.int32)
    for question, found, (number, here) in answered:
        test = folds[number].test - first
        held_out[test] = number
        answers[np.ix_(here, test)] = found.labels
        majorities[here, number] = [majority(labels) for labels in question.labels]
        n_units[here, number] = found.n_units
        components[here, number] = found.components
    return Classified(held_out, labellings, depicted, answers, majorities, n_units, components)


def cross_validate(
    values: Values,
    labels: Labels,
    identities: Labels,
    *,
    classifier: Classifier,
    folds: int,
    seed: int,
    shuffles: int = 0,
) -> Classified:
    """Classify each image by a classifier that was taught other identities, from units in memory.

    Parameters
    ----------
    values : ndarray of shape (n_images, n_units)
    labels, identities : ndarray of shape (n_images,), str
    folds, seed : int
        See `make_folds`.
    shuffles : int
        How often labels are shuffled, see `make_labellings`.
    """
    divided = make_folds(identities, folds, seed)
    labellings = make_labellings(labels, identities, shuffles=shuffles, draws=1, seed=seed)
    one_space = np.zeros((len(labellings), len(divided)), np.intp)
    n_images, n_units = values.shape
    space = Space(as_bits(range(n_units), n_units), np.arange(n_images))
    products = products_of(values)
    found = []
    for question, place in make_questions(divided, labellings, one_space):
        if classifier.standardise:
            spread = values[question.train].std(axis=0)
            products = products_of(values / np.where(spread > 0, spread, 1))
        found.append((question, answer(products, space, question, classifier), place))
    return gather(divided, labellings, true_and_shuffled(labellings), found)


def true_and_shuffled(labellings: Sequence[Labelling]) -> Labels:
    """Return the labels of all images: shape (n_labellings, n_images)."""
    return np.stack([labelling.labels for labelling in labellings])


def shuffle_within(labels: Labels, groups: Labels, rng: np.random.Generator) -> Labels:
    """Shuffle labels within each group."""
    order = np.argsort(groups, kind="stable")
    drawn = np.lexsort((rng.random(len(labels)), groups))
    shuffled = np.empty_like(labels)
    shuffled[order] = labels[drawn]
    return shuffled

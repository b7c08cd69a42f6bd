"""Questions to classifiers: what each is taught, in which space, and which images it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fexp_store.analyses.expressions.classifier import Classifier, Labels, similarities
from fexp_store.analyses.expressions.spaces import Images, Products, Rows, Space, compare_in
from fexp_store.analyses.threads import in_threads
from fexp_store.warehouse import Warehouse


@dataclass(frozen=True)
class Question:
    """A question to classifiers that differ in the labels of their training images alone.

    Parameters
    ----------
    space : int
        Number of the space.
    train : ndarray of shape (n_train,), int
        Images that the space compares with one another.
    test : ndarray of shape (n_test,), int
        Images that it compares with those.
    labels : ndarray of shape (n_labellings, n_train), str
    """

    space: int
    train: Rows
    test: Rows
    labels: Labels


@dataclass(frozen=True)
class Answer:
    """What the classifiers of a question answer.

    Parameters
    ----------
    labels : ndarray of shape (n_labellings, n_test), str
    n_units : int
        Units of the space; without any, the most frequent label of the training images (the first
        by name of equals) is the answer to all images.
    components : int
        Principal components that were used.
    """

    labels: Labels
    n_units: int
    components: int


def ask(
    wh: Warehouse,
    images: Images,
    spaces: Sequence[Space],
    questions: Sequence[Question],
    settings: Classifier,
) -> list[Answer]:
    """Answer questions, in their order."""
    answers: dict[int, Answer] = {}
    with wh.bar(f"Classifying {images.count} images") as started:
        advance = started(sum(len(question.labels) for question in questions))
        for numbers, products in compare_in(wh, images, spaces):
            known = dict(zip(numbers, products, strict=True))
            asked = [i for i, question in enumerate(questions) if question.space in known]

            def reply(i: int, known: dict[int, Products] = known) -> Answer:
                number = questions[i].space
                return answer(known[number], spaces[number], questions[i], settings)

            for i, given in zip(asked, in_threads(reply, asked), strict=True):
                answers[i] = given
                advance(len(given.labels))
    return [answers[i] for i in range(len(questions))]


def answer(products: Products, space: Space, question: Question, settings: Classifier) -> Answer:
    """Answer one question."""
    n_units = space.n_units
    if not n_units:
        every = [np.full(len(question.test), majority(labels)) for labels in question.labels]
        return Answer(np.stack(every), 0, 0)
    train, test = (space.positions(rows) for rows in (question.train, question.test))
    images = similarities(products, train, test, settings)
    answers = np.stack([images.classify(labels) for labels in question.labels])
    return Answer(answers, n_units, images.components)


def majority(labels: Labels) -> str:
    """Return the most frequent label, the first by name of equals."""
    names, counts = np.unique(labels, return_counts=True)
    return str(names[counts.argmax()])

"""Identification of morphs: the answer of a classifier that knows the prototypes of others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.expressions.choosing import choose_spaces
from fexp_store.analyses.expressions.classifier import Classifier, Labels, similarities
from fexp_store.analyses.expressions.cross_validation import Fold, Labelling
from fexp_store.analyses.expressions.questions import majority
from fexp_store.analyses.expressions.spaces import Images, Rows, Space, compare_in
from fexp_store.analyses.expressions.spaces import Products as Compared
from fexp_store.analyses.expressions.training import Training, TrainingImages
from fexp_store.analyses.morphs.continuum import CONTINUUM, Products
from fexp_store.errors import BadInput
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Run

Answered = tuple[Labels, NDArray[np.float64], str]
"""Labels, decision values, and the label that positive values stand for (all are NaN where there
is no single decision value)."""


def identify(
    wh: Warehouse,
    places: tuple[Place, Place],
    options: Training,
    run: Run,
    prototypes: TrainingImages,
    morphs: tuple[Rows, pl.DataFrame],
    *,
    two_way: bool,
) -> tuple[pl.DataFrame, Products]:
    """Classify each morph by a classifier that was taught the prototypes of other identities.

    The identities of the morphs are divided into as many parts as there are folds, in
    alphabetical order; each part's classifier leaves out the prototypes of all its identities, and
    so does the selection of its units. Of random units, it is the first draw that answers.

    Parameters
    ----------
    places : tuple of Place
        Of prototypes and of morphs.
    prototypes : TrainingImages
    morphs : tuple of ndarray of int and DataFrame
        Rows of their matrix of activations, and their identity, morph_from, morph_to, morph_level.
    two_way : bool
        Teach the prototypes of the two ends of each continuum, not those of all expressions.

    Returns
    -------
    DataFrame of n_morphs rows
        The morphs with response (str), decision (positive for morph_to; null where the classifier
        knew more than two expressions, or had no units), n_units, and fold (from 0).
    mapping
        Inner products between the levels of each identity's continuum, over the units of its fold.

    Raises
    ------
    BadInput
        If a fold leaves prototypes of fewer than two expressions.
    """
    rows, shown = morphs
    first = len(prototypes.rows)
    shown = shown.with_row_index("image", offset=first)
    parts = [part for _, part in shown.group_by(_part(shown, options.folds), maintain_order=True)]
    folds = [_fold(prototypes, part) for part in parts]
    images = Images(places, (prototypes.rows, rows))
    labellings = [Labelling(0, 0, prototypes.labels)]
    spaces, _ = choose_spaces(
        wh, options, run, prototypes, images, folds, labellings, together=True
    )
    answered: list[pl.DataFrame] = []
    products: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    with wh.bar(f"Identifying {shown.height} morphs") as started:
        advance = started(shown.height)
        for numbers, compared in compare_in(wh, images, spaces, centred=False):
            for number, inner in zip(numbers, compared, strict=True):
                space, part, fold = spaces[number], parts[number], folds[number]
                for task in part.partition_by(CONTINUUM) if two_way else [part]:
                    found = _identify(space, inner, prototypes, fold, task, options, two_way)
                    answered.append(found.with_columns(fold=pl.lit(number, pl.Int32)))
                products |= dict(_levels(space, inner, part))
                advance(part.height)
    return pl.concat(answered).sort("image").drop("image"), products


def _part(shown: pl.DataFrame, folds: int) -> pl.Series:
    """Divide identities in alphabetical order: the part of each morph."""
    people = np.unique(shown["identity"].to_numpy().astype(str))
    sizes = [len(part) for part in np.array_split(people, min(folds, len(people)))]
    part_of = dict(
        zip(people.tolist(), np.repeat(np.arange(len(sizes)), sizes).tolist(), strict=True)
    )
    return shown["identity"].replace_strict(part_of, return_dtype=pl.Int32).alias("part")


def _fold(prototypes: TrainingImages, part: pl.DataFrame) -> Fold:
    """Leave the identities of a part out of the prototypes."""
    others = ~np.isin(prototypes.identities, part["identity"].unique().to_list())
    return Fold(np.flatnonzero(others), part["image"].to_numpy().astype(np.intp))


def _identify(
    space: Space,
    compared: Compared,
    prototypes: TrainingImages,
    fold: Fold,
    task: pl.DataFrame,
    settings: Classifier,
    two_way: bool,
) -> pl.DataFrame:
    """Answer to morphs: of one continuum if two-way."""
    train = fold.train
    if two_way:
        train = train[np.isin(prototypes.labels[train], task.select(CONTINUUM).row(0))]
    labels = prototypes.labels[train]
    if len(np.unique(labels)) < 2:
        who = ", ".join(sorted(set(task["identity"])))
        raise BadInput(f"Without {who}, fewer than two expressions have prototypes.")
    images = task["image"].to_numpy().astype(np.intp)
    if space.n_units:
        taught, asked = space.positions(train), space.positions(images)
        answers, decisions, positive = _answer(compared, taught, asked, labels, settings)
    else:
        answers = np.full(len(images), majority(labels))
        decisions, positive = np.full(len(images), np.nan), ""
    sign = np.where(task["morph_to"].to_numpy().astype(str) == positive, 1, -1)
    return task.with_columns(
        pl.Series("response", answers.tolist(), pl.String),
        pl.Series("decision", sign * decisions).fill_nan(None),
        pl.lit(space.n_units, pl.Int32).alias("n_units"),
    )


def _answer(
    compared: Compared, train: Rows, test: Rows, labels: Labels, settings: Classifier
) -> Answered:
    from sklearn.svm import SVC

    images = similarities(compared, train, test, settings)
    machine = SVC(kernel="precomputed", C=images.C).fit(images.train, labels)
    answers = machine.predict(images.test)
    if len(machine.classes_) > 2:
        return answers, np.full(len(answers), np.nan), ""
    return answers, machine.decision_function(images.test), str(machine.classes_[1])


def _levels(
    space: Space, compared: Compared, part: pl.DataFrame
) -> Iterator[tuple[tuple[str, str, str], NDArray[np.float64]]]:
    """Give the inner products between the levels, ascending, of each identity's continuum."""
    ordered = part.sort("morph_level")
    for (a, b, who), levels in ordered.group_by(*CONTINUUM, "identity", maintain_order=True):
        at = space.positions(levels["image"].to_numpy().astype(np.intp))
        yield (str(a), str(b), str(who)), compared.between(at, at)

"""Identification of morphs: the answer of a classifier that knows the prototypes of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.expressions.classifier import (
    Classifier,
    Labels,
    Similarities,
    Values,
    similarities,
)
from fexp_store.analyses.morphs.continuum import CONTINUUM
from fexp_store.errors import BadInput


@dataclass(frozen=True)
class Prototypes:
    """Images of full expressions that the classifier learns from.

    Parameters
    ----------
    values : ndarray of shape (n_images, n_units)
    labels, identities : ndarray of shape (n_images,), str
    """

    values: Values
    labels: Labels
    identities: Labels


def identify(
    prototypes: Prototypes,
    values: Values,
    morphs: pl.DataFrame,
    classifier: Classifier,
    *,
    folds: int,
    two_way: bool,
) -> pl.DataFrame:
    """Classify each morph by a classifier trained on the prototypes of other identities.

    Parameters
    ----------
    prototypes : Prototypes
    values : ndarray of shape (n_morphs, n_units)
    morphs : DataFrame of n_morphs rows
        identity, morph_from, morph_to.
    folds : int
        Parts into which the identities of the morphs are divided, in alphabetical order; each
        part's classifier leaves out the prototypes of all its identities.
    two_way : bool
        Train on the prototypes of the two ends of each continuum, not on all expressions.

    Returns
    -------
    DataFrame of n_morphs rows
        Those of `morphs` with response (str), decision (positive for morph_to; null where the
        classifier knew more than two expressions) and fold (of the identity, from 0).

    Raises
    ------
    BadInput
        If a fold leaves prototypes of fewer than two expressions.
    """
    identities = morphs["identity"].to_numpy().astype(str)
    second = morphs["morph_to"].to_numpy().astype(str)
    answers = np.full(len(identities), "", dtype=object)
    decisions = np.full(len(identities), np.nan)
    folds_of = np.zeros(len(identities), np.int32)
    people = np.unique(identities)
    tasks = morphs.select(CONTINUUM).unique(maintain_order=True).rows() if two_way else [None]
    for fold, part in enumerate(np.array_split(people, min(folds, len(people)))):
        folds_of[np.isin(identities, part)] = fold
        known = ~np.isin(prototypes.identities, part)
        for ends in tasks:
            asked = np.isin(identities, part)
            taught = known
            if ends is not None:
                here = (pl.col("morph_from") == ends[0]) & (pl.col("morph_to") == ends[1])
                asked = asked & morphs.select(here).to_series().to_numpy()
                taught = known & np.isin(prototypes.labels, ends)
            if not asked.any():
                continue
            labels = prototypes.labels[taught]
            if len(np.unique(labels)) < 2:
                raise BadInput(
                    f"Without {', '.join(part)}, fewer than two expressions have prototypes."
                )
            images = similarities(prototypes.values[taught], values[asked], classifier)
            answers[asked], decided, positive = _answer(images, labels)
            decisions[asked] = np.where(second[asked] == positive, decided, -decided)
    found = pl.Series("decision", decisions).fill_nan(None)
    return morphs.with_columns(
        pl.Series("response", answers.astype(str)), found, pl.Series("fold", folds_of)
    )


def _answer(images: Similarities, labels: Labels) -> tuple[Labels, NDArray[np.float64], str]:
    """Train and answer: labels, decision values, and the label that positive ones stand for.

    Of more than two labels there is no single decision value: all are NaN.
    """
    from sklearn.svm import SVC

    machine = SVC(kernel="precomputed", C=images.C).fit(images.train, labels)
    answers = machine.predict(images.test)
    if len(machine.classes_) > 2:
        return answers, np.full(len(answers), np.nan), ""
    return answers, machine.decision_function(images.test), str(machine.classes_[1])

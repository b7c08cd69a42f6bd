"""Identification and discrimination along morph continua."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from fexp_store.analyses.expressions.classifier import Classifier, Labels, Values, similarities
from fexp_store.errors import BadInput

CONTINUUM = ("morph_from", "morph_to")


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
) -> Labels:
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
    ndarray of shape (n_morphs,), str
    """
    identities = morphs["identity"].to_numpy().astype(str)
    answers = np.full(len(identities), "", dtype=object)
    people = np.unique(identities)
    tasks = morphs.select(CONTINUUM).unique(maintain_order=True).rows() if two_way else [None]
    for part in np.array_split(people, min(folds, len(people))):
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
            answers[asked] = images.classify(labels)
    return answers.astype(str)


def choices(morphs: pl.DataFrame, answers: Labels) -> dict[tuple[str, str], pl.DataFrame]:
    """Whether each identity was assigned to the second expression, per continuum.

    Parameters
    ----------
    morphs : DataFrame
        identity, morph_from, morph_to, morph_level.
    answers : ndarray of shape (n_morphs,), str

    Returns
    -------
    dict
        Continuum to a frame of one row per level (ascending): morph_level, and a column of 0
        or 1 per identity.

    Raises
    ------
    BadInput
        If a continuum lacks a level of an identity, or has it twice.
    """
    second = (pl.Series(answers.tolist()) == morphs["morph_to"]).cast(pl.Float64)
    found = {}
    for ends, part in morphs.with_columns(second.alias("second")).group_by(
        CONTINUUM, maintain_order=True
    ):
        name = (str(ends[0]), str(ends[1]))
        if part.select("identity", "morph_level").is_duplicated().any():
            raise BadInput(f"{name[0]}-{name[1]} has a level of one identity twice.")
        wide = part.pivot("identity", index="morph_level", values="second").sort("morph_level")
        if any(wide.null_count().row(0)):
            raise BadInput(f"{name[0]}-{name[1]} has not every level for every identity.")
        found[name] = wide
    return found


def discrimination(values: Values, morphs: pl.DataFrame) -> pl.DataFrame:
    """Distance between neighbouring levels of each continuum, mean over identities.

    Parameters
    ----------
    values : ndarray of shape (n_morphs, n_units)
    morphs : DataFrame
        identity, morph_from, morph_to, morph_level.

    Returns
    -------
    DataFrame
        morph_from, morph_to, level_low, level_high, distance: Euclidean, divided by the
        difference of the levels.
    """
    place = (*CONTINUUM, "identity")
    ordered = morphs.with_row_index("row").sort(*place, "morph_level")
    activations = values[ordered["row"].to_numpy()].astype(np.float64)
    steps = np.linalg.norm(np.diff(activations, axis=0, append=np.nan), axis=1)
    high = pl.col("morph_level").shift(-1).over(place)
    return (
        ordered.with_columns(high.alias("level_high"), pl.Series("step", steps))
        .drop_nulls("level_high")  # the last level of an identity has no neighbour
        .with_columns(distance=pl.col("step") / (pl.col("level_high") - pl.col("morph_level")))
        .group_by(*CONTINUUM, "morph_level", "level_high", maintain_order=True)
        .agg(pl.col("distance").mean())
        .rename({"morph_level": "level_low"})
    )

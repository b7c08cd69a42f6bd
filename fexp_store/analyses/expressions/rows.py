"""Classified images as rows of the tables that they are stored in."""

from __future__ import annotations

import numpy as np
import polars as pl

from fexp_store.analyses.expressions.cross_validation import Classified


def fold_rows(found: Classified) -> pl.DataFrame:
    """Rows of the table ``results/decoding``: one per labelling and fold."""
    sizes = np.bincount(found.fold)
    accuracies = found.accuracies()
    labelling, fold = (x.ravel() for x in np.indices(accuracies.shape, dtype=np.int32))
    shuffle, draw = (
        np.array([getattr(x, name) for x in found.labellings], dtype=np.int32)[labelling]
        for name in ("shuffle", "draw")
    )
    return pl.DataFrame(
        {
            "shuffle": shuffle,
            "draw": draw,
            "fold": fold,
            "n_train": (len(found.fold) - sizes)[fold],
            "n_test": sizes[fold],
            "n_units": found.n_units.ravel(),
            "components": found.components.ravel(),
            "correct": np.rint(accuracies.ravel() * sizes[fold]).astype(np.int32),
            "accuracy": accuracies.ravel(),
            "majority": found.by_fold(found.majority_right).ravel(),
        }
    )


def prediction_rows(found: Classified, stimuli: pl.DataFrame, train_set: str) -> pl.DataFrame:
    """Rows of the table ``results/predictions``: one per image, with true labels.

    Parameters
    ----------
    stimuli : DataFrame
        Of the images that were classified. Of random units, it is the first draw that answered.
    train_set : str
        What the classifiers were taught; there are folds if that is the set of the images.
    """
    held_out = pl.Series("fold", found.fold)
    fold = pl.when(pl.col("stimulus_set") == train_set).then(held_out)
    return stimuli.select(
        "stimulus_set",
        pl.lit(train_set).alias("train_set"),
        pl.col("stimulus_set").alias("test_set"),
        "stimulus_id",
        fold.alias("fold"),
        pl.Series("n_units", found.n_units[0, found.fold]),
        pl.col("expression").alias("depicted"),
        pl.Series("response", found.answers[0].tolist()),
    )

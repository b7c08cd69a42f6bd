"""What a classifier is taught: images of the six basic expressions, in some units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from msgspec import Meta

from fexp_store.analyses.expressions.classifier import Classifier, Labels
from fexp_store.analyses.expressions.spaces import Rows
from fexp_store.analyses.reading import units
from fexp_store.analyses.reading.images import basic_images
from fexp_store.analyses.reading.units import UnitSource
from fexp_store.analyses.selectivity.criterion import Criterion
from fexp_store.options import record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place


@record
class Training(UnitSource, Criterion, Classifier):
    """Options that decide a trained classifier; results compared must agree in all of them."""

    selection: Annotated[
        Literal["nested", "circular"],
        Meta(
            description="nested: units are selected on the training images of each fold (and "
            "shuffle); circular: by fexp select, on all images, those that are classified too."
        ),
    ] = "nested"
    draws: Annotated[int, Meta(ge=1, le=10_000, description="Of random units; our choice.")] = 100
    folds: Annotated[
        int, Meta(ge=2, le=10_000, description="Folds over identities; our choice.")
    ] = 10


@dataclass(frozen=True)
class TrainingImages:
    """Training images.

    Parameters
    ----------
    rows : ndarray of shape (n_images,), int
        Of the matrix of activations of the set.
    labels, identities : ndarray of shape (n_images,), str
    stimuli : DataFrame of n_images rows
        Their rows of the view ``stimuli``.
    """

    rows: Rows
    labels: Labels
    identities: Labels
    stimuli: pl.DataFrame


def read_training(wh: Warehouse, place: Place) -> TrainingImages:
    """Read which images of a set are training images, and their labels."""
    rows, stimuli = basic_images(wh, place)
    labels, identities = (
        np.array(stimuli[name].to_list(), dtype=str) for name in ("expression", "identity")
    )
    return TrainingImages(rows, labels, identities, stimuli)


def reads(wh: Warehouse, place: Place, options: Training) -> dict[str, Any]:
    """Return where units are selected, see `units.reads`; or ``nested``, which reads no run."""
    on_itself = options.selected_on in (None, place.stimulus_set)
    selects = options.units in ("selective", "random")
    if selects and on_itself and options.selection == "nested":
        return {"selection": "nested"}
    return units.reads(wh, place, options)

"""What a classifier is trained on: responses of chosen units to the six basic expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from fexp_store.analyses.analysis import SETS
from fexp_store.analyses.expressions.classifier import Classifier, Labels, Values
from fexp_store.analyses.reading.finite import finite_units
from fexp_store.analyses.reading.images import read_basic
from fexp_store.analyses.reading.units import UnitSource, choose_units
from fexp_store.options import record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Run


@record
class Training(UnitSource, Classifier):
    """Options that decide a trained classifier; results compared must agree in all of them."""

    folds: Annotated[
        int, Meta(ge=2, le=10_000, description="Folds over identities; our choice.")
    ] = 10


@dataclass(frozen=True)
class TrainingData:
    """Training images.

    Parameters
    ----------
    values : ndarray of shape (n_images, n_units), float32
    labels, identities : ndarray of shape (n_images,), str
    stimuli : DataFrame of n_images rows
        Their rows of the view ``stimuli``.
    unit_ids : list of int
    """

    values: Values
    labels: Labels
    identities: Labels
    stimuli: Any
    unit_ids: list[int]


def read_training(wh: Warehouse, place: Place, options: UnitSource, run: Run) -> TrainingData:
    """Read the training images of a run, as its parameters say.

    Units that are not finite on one of the sets that the run reads are left out.
    """
    chosen = choose_units(wh, place, options.units, run.parameters, seed=options.seed)
    sets = [run.parameters[name] for name in SETS.values() if name in run.parameters]
    chosen = finite_units(wh, place, sets, chosen)
    images = read_basic(wh, place, chosen)
    return TrainingData(
        values=images.values,
        labels=images.stimuli["expression"].to_numpy().astype(str),
        identities=images.stimuli["identity"].to_numpy().astype(str),
        stimuli=images.stimuli,
        unit_ids=chosen,
    )

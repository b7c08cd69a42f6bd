"""What a classifier is trained on: responses of chosen units to the six basic expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from fexp_store.analyses.expressions.classifier import Classifier, Labels, Values
from fexp_store.analyses.reading.images import read_basic
from fexp_store.analyses.reading.units import UnitChoice, choose_units, selection
from fexp_store.options import Seed, record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Run


@record
class Training(UnitChoice, Classifier):
    """Options that decide a trained classifier; results compared must agree in all of them."""

    selected_on: Annotated[
        str | None,
        Meta(description="Set (or run_id) of `fexp select`; the training set by default."),
    ] = None
    folds: Annotated[int, Meta(ge=2, description="Folds over identities; our choice.")] = 10
    seed: Annotated[Seed, Meta(description="Of folds, shuffles and random draws.")] = 0


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


def read_training(wh: Warehouse, place: Place, options: Training, run: Run) -> TrainingData:
    """Read the training images of a run, as its parameters say."""
    chosen = choose_units(wh, place, options.units, run.parameters, seed=options.seed)
    images = read_basic(wh, place, chosen)
    return TrainingData(
        values=images.values,
        labels=images.stimuli["expression"].to_numpy().astype(str),
        identities=images.stimuli["identity"].to_numpy().astype(str),
        stimuli=images.stimuli,
        unit_ids=chosen,
    )


def reads(wh: Warehouse, place: Place, options: Training) -> dict[str, Any]:
    """Return the run of ``fexp select`` that gives the units, if one does, and its set."""
    if options.units not in ("selective", "random"):
        return {}
    return selection(wh, place, options.selected_on or place.stimulus_set)

"""Decoding of expressions, cross-validated over identities, with a control of shuffled labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.expressions.classification import Classification, classification
from fexp_store.analyses.expressions.classify import classify_held_out
from fexp_store.analyses.expressions.rows import fold_rows, prediction_rows
from fexp_store.analyses.expressions.training import Training, read_training, reads
from fexp_store.options import record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store


@record
class Options(Training):
    """Options of `decode`. The study has shuffled labels; the numbers are our choice."""

    shuffles: Annotated[
        int, Meta(ge=0, le=100_000, description="Repetitions with shuffled labels; our choice.")
    ] = 100


@dataclass(frozen=True)
class Decoding:
    """What `decode` found for one layer: its row of ``results/classification``, and the run."""

    found: Classification
    run_id: str


def decode(wh: Warehouse, place: Place, options: Options) -> Decoding:
    """Decode expressions from a layer, cross-validated over identities, and store the result.

    Principal components fitted to the training images of each fold, then a support vector
    classifier. Selective units are selected on the training images of each fold, and again for
    each shuffle; with `--selection circular`, once and on all images, which makes even noise look
    decoded. The control has labels shuffled within each identity.

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figure 1C. Selection within folds:
    Ambroise & McLachlan 2002, PNAS 99:6562; Kriegeskorte et al. 2009, Nature Neuroscience 12:535.
    """
    run = begin(wh, ANALYSIS, place, options)
    training = read_training(wh, place)
    found = classify_held_out(wh, place, options, run, training, options.shuffles)
    summed_up = classification(found, training.identities, run)
    frames = {
        "decoding": fold_rows(found),
        "predictions": prediction_rows(found, training.stimuli, place.stimulus_set),
        "classification": summed_up.row,
    }
    store(wh.storage, run, frames)
    return Decoding(summed_up, run.run_id)


def _said(decoding: Decoding) -> Iterator[str]:
    yield from decoding.found.said()


ANALYSIS = Analysis(
    name="decode",
    example="--units random",
    options=Options,
    run=decode,
    tables=("decoding", "predictions", "classification"),
    same_if=("network", "layer", "stimulus_set", "units", "selection"),
    shown=lambda decoding: decoding.found.shown,
    said=_said,
    reads=reads,
)

"""Decoding of expressions, cross-validated over identities, with a control of shuffled labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import polars as pl
from msgspec import Meta

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.expressions.cross_validation import (
    cross_validate,
    fold_rows,
    prediction_rows,
)
from fexp_store.analyses.expressions.training import Training, read_training
from fexp_store.analyses.reading.units import reads
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
    """What `decode` found for one layer.

    Parameters
    ----------
    choice : str
        Of units.
    images, identities, units : int
        That were classified, and from which.
    accuracy, sd : float
        Mean and standard deviation of the accuracy of the folds.
    chance : float
        1 / number of expressions.
    shuffled, shuffled_low, shuffled_high : float
        Mean and 2.5 % and 97.5 % quantiles of the accuracy with shuffled labels; NaN without any.
    p : float
        (1 + shuffles with an accuracy as high) / (1 + shuffles).
    run_id : str
    """

    choice: str
    images: int
    identities: int
    units: int
    accuracy: float
    sd: float
    chance: float
    shuffled: float
    shuffled_low: float
    shuffled_high: float
    p: float
    run_id: str


def decode(wh: Warehouse, place: Place, options: Options) -> Decoding:
    """Decode expressions from a layer, cross-validated over identities, and store the result.

    Principal components fitted to the training images of each fold, then a support vector
    classifier. The control has labels shuffled within each identity. Selective units are selected
    on the labels of all images, those of test identities included, as in the study; give
    `selected_on` another set to keep the two apart.

    References
    ----------
    Zhou, Yang, Meng & Zhou 2022, Science Advances 8:eabj4383, figure 1C. p: Phipson & Smyth
    2010, Statistical Applications in Genetics and Molecular Biology 9:39.
    """
    run = begin(wh, ANALYSIS, place, options)
    data = read_training(wh, place, options, run)
    found = cross_validate(
        data.values,
        data.labels,
        data.identities,
        classifier=options,
        folds=options.folds,
        seed=options.seed,
        shuffles=options.shuffles,
    )
    predictions = prediction_rows(found.answers[0], data.stimuli, found.fold)
    store(wh.storage, run, {"decoding": fold_rows(found), "predictions": predictions})
    accuracy, *control = found.accuracies().mean(axis=1)
    low, high = np.quantile(control, (0.025, 0.975)) if control else (np.nan, np.nan)
    return Decoding(
        choice=run.parameters["units"],
        images=len(data.labels),
        identities=data.stimuli["identity"].n_unique(),
        units=len(data.unit_ids),
        accuracy=float(accuracy),
        sd=float(found.accuracies()[0].std(ddof=1)),
        chance=1 / data.stimuli["expression"].n_unique(),
        shuffled=float(np.mean(control)) if control else np.nan,
        shuffled_low=float(low),
        shuffled_high=float(high),
        p=(1 + sum(x >= accuracy - 1e-12 for x in control)) / (1 + len(control)),
        run_id=run.run_id,
    )


ANALYSIS = Analysis(
    name="decode",
    example="--units random",
    options=Options,
    run=decode,
    tables=("decoding", "predictions"),
    same_if=("network", "layer", "stimulus_set", "units"),
    shown=lambda found: pl.DataFrame([asdict(found)]).drop("run_id"),
    reads=reads,
)

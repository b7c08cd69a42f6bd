"""What a classifier is taught: responses of chosen units to the six basic expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.classifier import Classifier, Labels, Values
from fexp_store.analyses.design import check_complete
from fexp_store.analyses.options import check_options
from fexp_store.analyses.units import choose_units, units_name
from fexp_store.errors import BadInput
from fexp_store.expressions import BASIC
from fexp_store.warehouse import Warehouse, runs
from fexp_store.warehouse.activations.matrix import Matrix
from fexp_store.warehouse.runs import Run


@dataclass(frozen=True)
class Lesson:
    """Training images, the classifier that is to learn from them, and the run that this begins.

    Parameters
    ----------
    values : ndarray of shape (n_images, n_units), float32
    labels, identities : ndarray of shape (n_images,), str
    stimuli : DataFrame of n_images rows
        Their rows of the view ``stimuli``.
    unit_ids : list of int
    classifier : Classifier
    key : dict
        Columns that every row of the result has: network, layer, stimulus_set and units.
    run : Run
    """

    values: Values
    labels: Labels
    identities: Labels
    stimuli: pl.DataFrame
    unit_ids: list[int]
    classifier: Classifier
    key: dict[str, Any]
    run: Run


def begin(
    wh: Warehouse,
    kind: str,
    place: dict[str, str],
    units: str,
    selected_on: str | None,
    options: dict[str, Any],
) -> Lesson:
    """Check the options of an analysis, read its training images and begin its run.

    Parameters
    ----------
    kind : str
        Of the run.
    place : dict
        network, layer and stimulus_set.
    units, selected_on
        See `choose_units`; `selected_on` is the stimulus set by default.
    options : dict
        All others, seed and those of `Classifier` among them; the run records them.
    """
    check_options(**options)
    classifier = Classifier(options["components"], options["kernel"], options["c"])
    network, layer, stimulus_set = place["network"], place["layer"], place["stimulus_set"]
    selected = selected_on or stimulus_set
    chosen = choose_units(wh, network, layer, units, selected, seed=options["seed"])
    unit_ids = chosen.unit_ids.tolist()
    images = read_basic(wh, network, layer, stimulus_set, unit_ids)
    key = {**place, "units": units_name(units)}
    selection = {"selected_on": selected, "selection_run": chosen.selection_run}
    return Lesson(
        values=images.values,
        labels=images.stimuli["expression"].to_numpy().astype(str),
        identities=images.stimuli["identity"].to_numpy().astype(str),
        stimuli=images.stimuli,
        unit_ids=unit_ids,
        classifier=classifier,
        key=key,
        run=runs.begin(wh.storage, kind, key | selection | options),
    )


def read_basic(
    wh: Warehouse, network: str, layer: str, stimulus_set: str, unit_ids: list[int]
) -> Matrix:
    """Read the responses of units to the images of the six basic expressions.

    Raises
    ------
    BadInput
        If some stimuli are not stored, or fewer than two of the expressions are among them.
    """
    is_basic = pl.col("expression").is_in(BASIC).fill_null(value=False)
    images = read_some(wh, network, layer, stimulus_set, unit_ids, is_basic)
    if images.stimuli["expression"].n_unique() < 2:
        raise BadInput(f"{stimulus_set} has images of fewer than two basic expressions.")
    return images


def read_some(
    wh: Warehouse,
    network: str,
    layer: str,
    stimulus_set: str,
    unit_ids: list[int],
    wanted: pl.Expr,
) -> Matrix:
    """Read the responses of units to those stimuli of a set for which an expression is true.

    Raises
    ------
    BadInput
        If some stimuli of the set are not stored.
    """
    check_complete(wh, network, layer, stimulus_set)
    matrix = wh.matrix(network, layer, stimulus_set, units=unit_ids)
    rows: NDArray[Any] = matrix.stimuli.select(wanted).to_series().to_numpy()
    return Matrix(matrix.values[rows], matrix.stimuli.filter(rows), matrix.unit_ids)

"""Reading what a classifier learns from: responses to images of the six basic expressions."""

from __future__ import annotations

import polars as pl

from fexp_store.analyses.classifier import Values
from fexp_store.analyses.design import check_complete
from fexp_store.analyses.units import choose_units
from fexp_store.errors import BadInput
from fexp_store.stimuli.expressions import BASIC
from fexp_store.warehouse import Warehouse


def read_basic(
    wh: Warehouse,
    network: str,
    layer: str,
    stimulus_set: str,
    units: str,
    selected_on: str,
    seed: int,
) -> tuple[Values, pl.DataFrame, str | None]:
    """Read the responses of chosen units to the images of the six basic expressions.

    Returns
    -------
    tuple
        values of shape (n_images, n_units), their rows of the view ``stimuli``, and the run of
        ``fexp select`` that the units come from.
    """
    check_complete(wh, network, layer, stimulus_set)
    chosen = choose_units(wh, network, layer, units, selected_on, seed=seed)
    matrix = wh.matrix(network, layer, stimulus_set, units=chosen.unit_ids.tolist())
    basic = matrix.stimuli["expression"].is_in(BASIC).fill_null(value=False)
    stimuli = matrix.stimuli.filter(basic)
    if stimuli["expression"].n_unique() < 2:
        raise BadInput(f"{stimulus_set} has images of fewer than two basic expressions.")
    return matrix.values[basic.to_numpy()], stimuli, chosen.selection_run

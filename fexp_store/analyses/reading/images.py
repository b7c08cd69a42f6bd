"""Which images of a set an analysis reads."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.reading.design import check_complete
from fexp_store.errors import BadInput
from fexp_store.expressions import BASIC
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place

Rows = NDArray[np.intp]


def basic_images(wh: Warehouse, place: Place) -> tuple[Rows, pl.DataFrame]:
    """Find the images of the six basic expressions.

    Returns
    -------
    ndarray of shape (n_images,), int
        Rows of the matrix of activations of the set.
    DataFrame of n_images rows
        Their rows of the view ``stimuli``.

    Raises
    ------
    BadInput
        If some stimuli are not stored, or fewer than two of the expressions are among them.
    """
    rows, stimuli = images_where(wh, place, pl.col("expression").is_in(BASIC))
    if stimuli["expression"].n_unique() < 2:
        raise BadInput(f"{place.stimulus_set} has images of fewer than two basic expressions.")
    return rows, stimuli


def images_where(wh: Warehouse, place: Place, wanted: pl.Expr) -> tuple[Rows, pl.DataFrame]:
    """Find the images of a set for which an expression is true, as `basic_images` does.

    Raises
    ------
    BadInput
        If some stimuli of the set are not stored.
    """
    check_complete(wh, place)
    stimuli = read_set(wh, place.stimulus_set)
    chosen = stimuli.select(wanted.fill_null(value=False)).to_series()
    return np.flatnonzero(chosen.to_numpy()), stimuli.filter(chosen)

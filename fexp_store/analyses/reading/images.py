"""Responses of chosen units to chosen images of a set."""

from __future__ import annotations

from typing import Any

import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.reading.design import check_complete
from fexp_store.errors import BadInput
from fexp_store.expressions import BASIC
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.activations.matrix import Matrix
from fexp_store.warehouse.place import Place


def read_basic(wh: Warehouse, place: Place, unit_ids: list[int]) -> Matrix:
    """Read the activations of units for the images of the six basic expressions.

    Raises
    ------
    BadInput
        If some stimuli are not stored, or fewer than two of the expressions are among them.
    """
    is_basic = pl.col("expression").is_in(BASIC).fill_null(value=False)
    images = read_some(wh, place, unit_ids, is_basic)
    if images.stimuli["expression"].n_unique() < 2:
        raise BadInput(f"{place.stimulus_set} has images of fewer than two basic expressions.")
    return images


def read_some(wh: Warehouse, place: Place, unit_ids: list[int], wanted: pl.Expr) -> Matrix:
    """Read the activations of units for those stimuli of a set for which an expression is true.

    Raises
    ------
    BadInput
        If some stimuli of the set are not stored.
    """
    check_complete(wh, place)
    matrix = wh.matrix(*place, units=unit_ids)
    rows: NDArray[Any] = matrix.stimuli.select(wanted).to_series().to_numpy()
    return Matrix(matrix.values[rows], matrix.stimuli.filter(rows), matrix.unit_ids)

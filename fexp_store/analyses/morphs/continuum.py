"""What is known of one morph continuum: every answer to its morphs, and their inner products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.errors import BadInput

Array = NDArray[np.float64]
CONTINUUM = ("morph_from", "morph_to")

Products = Mapping[tuple[str, str, str], Array]
"""morph_from, morph_to and identity to inner products between the responses to the levels, in
ascending order: shape (n_levels, n_levels), float64, for distances between neighbours are small
differences of these, around 0, so that they tell how large rounding is."""


@dataclass(frozen=True)
class Continuum:
    """The answers to the morphs of one continuum, and how alike the responses to them are.

    Parameters
    ----------
    ends : tuple of str
        The expressions at level 0 and at level 1.
    levels : ndarray of shape (n_levels,), float64
        Ascending.
    identities : tuple of str
    second : ndarray of shape (n_levels, n_identities), float64
        1 where the second expression was answered, else 0.
    decisions : ndarray of shape (n_levels, n_identities), float64, or None
        Decision values, positive for the second expression; None where there are none that are
        linear in the responses.
    products : ndarray of shape (n_identities, n_levels, n_levels), float64
        Inner products between the responses to the levels of one identity, each over the units
        that its own classifier read. Only ratios of them can be compared between identities.
    """

    ends: tuple[str, str]
    levels: Array
    identities: tuple[str, ...]
    second: Array
    decisions: Array | None
    products: Array


def continua(answers: pl.DataFrame, products: Products, *, linear: bool) -> list[Continuum]:
    """Gather every continuum, in the order in which they first occur.

    Parameters
    ----------
    answers : DataFrame
        One row per morph: identity, morph_from, morph_to, morph_level, response and decision.
    products : mapping
    linear : bool
        Whether the decision values are linear in the responses.

    Raises
    ------
    BadInput
        If a continuum lacks a level of an identity, or has it twice.
    """
    second = (pl.col("response") == pl.col("morph_to")).cast(pl.Float64)
    marked = answers.with_columns(second=second)
    found = []
    for ends, part in marked.group_by(CONTINUUM, maintain_order=True):
        name = (str(ends[0]), str(ends[1]))
        wide = _wide(part, "second")
        people = tuple(wide.columns[1:])
        has_decisions = linear and part["decision"].null_count() == 0
        decisions = _wide(part, "decision").drop("morph_level") if has_decisions else None
        found.append(
            Continuum(
                ends=name,
                levels=wide["morph_level"].to_numpy().astype(np.float64),
                identities=people,
                second=wide.drop("morph_level").to_numpy().astype(np.float64),
                decisions=None if decisions is None else decisions.to_numpy().astype(np.float64),
                products=np.stack([products[(*name, who)] for who in people]),
            )
        )
    return found


def check_complete(morphs: pl.DataFrame) -> None:
    """Check that each continuum has each level of each of its identities once.

    Raises
    ------
    BadInput
        If not.
    """
    for ends, part in morphs.group_by(CONTINUUM, maintain_order=True):
        name = f"{ends[0]}-{ends[1]}"
        if part.select("identity", "morph_level").is_duplicated().any():
            raise BadInput(f"{name} has a level of one identity twice.")
        if part.height != part["identity"].n_unique() * part["morph_level"].n_unique():
            raise BadInput(f"{name} has not every level for every identity.")


def _wide(part: pl.DataFrame, column: str) -> pl.DataFrame:
    return part.pivot("identity", index="morph_level", values=column).sort("morph_level")

"""Two-way analysis of variance without replication, of all units at once, on blocks of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.reading.finite import read_blocks
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.activations.matrix import Matrix
from fexp_store.warehouse.place import Place

FACTORS = ("expression", "identity")
ROUNDING = 1e-12
"""A sum of squares below this share of the total is rounding, and 0; as in the SQL macro."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """Which stimulus is which cell of a complete expression x identity design.

    Parameters
    ----------
    cells : ndarray of shape (n_identities, n_expressions), int
        Row of a matrix of activations, for each cell; levels are in alphabetical order.
    """

    cells: NDArray[np.intp]

    @property
    def df(self) -> dict[str, int]:
        """Degrees of freedom of expression, identity and error."""
        identities, expressions = self.cells.shape
        return {
            "expression": expressions - 1,
            "identity": identities - 1,
            "error": (expressions - 1) * (identities - 1),
        }

    @classmethod
    def of(cls, stimuli: pl.DataFrame) -> Design:
        """Return the design of the rows of the view ``stimuli``, one for each cell."""
        order = np.lexsort([stimuli["expression"].to_numpy(), stimuli["identity"].to_numpy()])
        return cls(order.reshape(stimuli["identity"].n_unique(), -1))


def anova(wh: Warehouse, place: Place) -> pl.DataFrame:
    """Analyse each unit of a layer, in bounded memory.

    Returns
    -------
    DataFrame
        One row per unit: the columns of the macro ``expression_anova``, and p_expression,
        p_identity, eta_squared_expression, eta_squared_identity (null without variance, and for
        units that are not finite).
    """
    return pl.concat(_tables(read_blocks(wh, place)))


def _tables(blocks: Iterator[Matrix]) -> Iterator[pl.DataFrame]:
    for block in blocks:
        design = Design.of(block.stimuli)
        sums = pl.DataFrame({"unit_id": block.unit_ids} | sums_of_squares(block.values, design))
        yield with_tests(sums, design)


def sums_of_squares(values: NDArray[np.float32], design: Design) -> dict[str, Floats]:
    """Partition each unit's variation.

    Parameters
    ----------
    values : ndarray of shape (n_stimuli, n_units), float32
    design : Design

    Returns
    -------
    dict of str to ndarray of shape (n_units,), float64
        ss_expression, ss_identity, ss_error and ss_total; all 0 for a constant unit.

    References
    ----------
    Sokal & Rohlf 1995, Biometry, section 11.1.
    """
    identities, expressions = design.cells.shape
    by_expression, by_identity = np.zeros((expressions, values.shape[1])), []
    squares = np.zeros(values.shape[1])
    # Around a value of the unit itself nothing cancels, and a constant unit is exactly 0.
    origin = values[0].astype(np.float64)
    for cells in design.cells:
        x = values[cells] - origin
        by_expression += x
        by_identity.append(x.sum(axis=0))
        squares += np.einsum("ku,ku->u", x, x)
    n = identities * expressions
    correction = by_expression.sum(axis=0) ** 2 / n
    total = squares - correction
    ss_expression = np.square(by_expression).sum(axis=0) / identities - correction
    ss_identity = np.square(by_identity).sum(axis=0) / expressions - correction
    parts = {
        "ss_expression": ss_expression,
        "ss_identity": ss_identity,
        "ss_error": total - ss_expression - ss_identity,
    }
    floor = ROUNDING * total
    return {name: np.where(part > floor, part, 0) for name, part in parts.items()} | {
        "ss_total": total
    }


def with_tests(sums: pl.DataFrame, design: Design) -> pl.DataFrame:
    """Add degrees of freedom, mean squares, F, p and partial eta squared to sums of squares.

    All three are null for a unit without variance. One without error varies exactly as its two
    factors add up: F of a factor with an effect is then infinite, p 0 and eta squared 1; a factor
    whose level means are all the same has F 0, p 1 and eta squared 0.
    """
    df = design.df
    table = sums.with_columns(
        pl.lit(design.cells.size, pl.Int64).alias("n"),
        *(pl.lit(df[part], pl.Int64).alias(f"df_{part}") for part in df),
        *((pl.col(f"ss_{part}") / df[part]).alias(f"ms_{part}") for part in df),
    ).with_columns(_f_ratio(factor) for factor in FACTORS)
    return table.with_columns(
        *(p_value(table[f"f_{factor}"], df[factor], df["error"]) for factor in FACTORS),
        *(_partial_eta_squared(factor) for factor in FACTORS),
    )


def p_value(f: pl.Series, df: int, df_error: int) -> pl.Series:
    """Return the upper tail of the F distribution at each F; null where F is null."""
    from scipy import stats

    p = np.asarray(stats.f.sf(f.to_numpy(), df, df_error))
    return pl.Series(f.name.replace("f_", "p_"), p, nan_to_null=True)


def _f_ratio(factor: str) -> pl.Expr:
    effect, error = pl.col(f"ms_{factor}"), pl.col("ms_error")
    additive = pl.when(effect > 0).then(float("inf")).otherwise(0.0)
    return _if_varying(pl.when(error > 0).then(effect / error).otherwise(additive), f"f_{factor}")


def _partial_eta_squared(factor: str) -> pl.Expr:
    effect, error = pl.col(f"ss_{factor}"), pl.col("ss_error")
    share = pl.when(effect > 0).then(effect / (effect + error)).otherwise(0.0)
    return _if_varying(share, f"eta_squared_{factor}")


def _if_varying(value: pl.Expr, name: str) -> pl.Expr:
    return pl.when(pl.col("ss_total") > 0).then(value).alias(name)

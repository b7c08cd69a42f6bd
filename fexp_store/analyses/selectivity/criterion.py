"""When a unit is selective: an effect of one factor, and none of the other one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import polars as pl
from msgspec import Meta

from fexp_store.analyses.selectivity.anova import FACTORS
from fexp_store.options import record


@record
class Criterion:
    """The rule that a unit must fulfil. The study has alpha 0.01 and absence p."""

    alpha: Annotated[
        float, Meta(gt=0, lt=1, description="Level of both tests; 0.01 in the study.")
    ] = 0.01
    absence: Annotated[
        Literal["p", "size", "equivalence"],
        Meta(
            description="How the other factor is seen to have no effect. p: its p is above alpha, "
            "the study's rule, by which more people un-select units; size: its estimated effect is "
            "below the bound; equivalence: its effect is shown to be below the bound, at alpha."
        ),
    ] = "p"
    bound: Annotated[
        float,
        Meta(
            gt=0,
            le=100,
            description="Effect of the other factor, as Cohen's f squared, from which on size and "
            "equivalence call it one; our choice, a medium effect.",
        ),
    ] = 0.0625


def largest_f(criterion: Criterion, df: Mapping[str, int], other: str) -> float:
    """Return the F of the other factor below which it is taken to have no effect.

    Cohen's f² is the variance of the level means over the error variance: with n images, F of the
    factor is noncentral with n f² (Steiger 2004). Its estimate is ``(F - 1) df / n``, without bias
    for large df of the error.

    Parameters
    ----------
    criterion : Criterion
        By p: the upper alpha quantile of the central F. By size: where the estimate is the bound.
        By equivalence: the lower alpha quantile of the noncentral F at the bound, which is where
        the upper limit of the one-sided 1 - alpha interval of f² is the bound.
    df : mapping
        Degrees of freedom of expression, identity and error.
    other : str
        The factor that must have no effect.

    References
    ----------
    Cohen 1988, Statistical power analysis, chapter 8 (f²); Steiger 2004, Psychol. Methods 9:164
    (noncentral intervals); Campbell & Lakens 2021, Br. J. Math. Stat. Psychol. 74:64 (equivalence).
    """
    from scipy import stats

    n = (df["expression"] + 1) * (df["identity"] + 1)
    if criterion.absence == "p":
        f = stats.f.isf(criterion.alpha, df[other], df["error"])
    elif criterion.absence == "size":
        f = 1 + criterion.bound * n / df[other]
    else:
        f = stats.ncf.ppf(criterion.alpha, df[other], df["error"], n * criterion.bound)
    return float(f)


def f_limits(
    criterion: Criterion, df: Mapping[str, int], factor: str, level: float
) -> tuple[float, float]:
    """Return what F of the factor must be above, and F of the other one below.

    Parameters
    ----------
    level : float
        What p of the factor must be below: alpha, or what a correction makes of it.
    """
    from scipy import stats

    least = float(stats.f.isf(level, df[factor], df["error"]))
    return least, largest_f(criterion, df, other_than(factor))


def selective_units(
    table: pl.DataFrame, criterion: Criterion, df: Mapping[str, int], factor: str, level: float
) -> pl.Series:
    """Tell which units are selective.

    Parameters
    ----------
    table : DataFrame
        A row per unit with f and p of both factors, as `anova` gives them.

    Returns
    -------
    Series of bool
        False for a unit without variance.
    """
    other = other_than(factor)
    if criterion.absence == "p":
        absent = table[f"p_{other}"] > criterion.alpha
    else:
        absent = table[f"f_{other}"] < largest_f(criterion, df, other)
    rule = (table[f"p_{factor}"] < level) & absent
    return rule.fill_null(value=False).alias("selective")


def share_by_alpha(criterion: Criterion, df: Mapping[str, int], factor: str, level: float) -> float:
    """Return the share of units that the rule selects where no factor has any effect.

    It takes responses to be normal and the two tests to be independent (they share an error term,
    so they nearly are); what permutations select takes neither.
    """
    from scipy import stats

    other = other_than(factor)
    absent = stats.f.cdf(largest_f(criterion, df, other), df[other], df["error"])
    return level * float(absent)


def other_than(factor: str) -> str:
    """Return the other factor of the design."""
    (other,) = set(FACTORS) - {factor}
    return other

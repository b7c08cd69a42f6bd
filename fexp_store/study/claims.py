"""The claims of a study: each a sentence, and the query whose numbers speak for it or against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from msgspec import Meta

from fexp_store.errors import BadInput, FexpError
from fexp_store.given import read_text
from fexp_store.options import record
from fexp_store.study.section import Section
from fexp_store.warehouse import Warehouse

_SAID = {"what": pl.String, "found": pl.Float64, "published": pl.Float64}
"""Columns that a query of a claim returns."""


@record
class _Claim:
    """What a ``[[claims]]`` section says."""

    text: Annotated[str, Meta(description="the claim, in a sentence.")]
    query: Annotated[Path, Meta(description="file of the query that tests it.")]
    parameters: Annotated[
        dict[str, Any] | None, Meta(description="values of the query's parameters, in braces.")
    ] = None


@dataclass(frozen=True)
class DeclaredClaim:
    """A claim of a study, and what tests it.

    Parameters
    ----------
    query : Path
        A file of one SELECT that returns what (a text), found and published (numbers or null).
    where : str
        File and line, for messages.
    """

    text: str
    query: Path
    parameters: dict[str, Any]
    where: str


def claim_of(section: Section) -> DeclaredClaim:
    """Read a section; raises BadInput as `Section.records` does."""
    (base,) = section.records(_Claim)
    return DeclaredClaim(base.text, base.query, base.parameters or {}, section.lines[""])


def answers(wh: Warehouse, claims: Iterable[DeclaredClaim]) -> pl.DataFrame:
    """Run the query of every claim on what is stored now; whether it holds is for people to say.

    Returns
    -------
    DataFrame
        claim, query (name of the file) and, for each row of its result, what, found and published;
        one row with nulls where it returns none, because results are missing.

    Raises
    ------
    BadInput
        If a file is not there, its query is refused, or it returns other columns; with the line.
    """
    frames = [pl.DataFrame(schema={"claim": pl.String, "query": pl.String, **_SAID})]
    for claim in claims:
        rows = _answer(wh, claim)
        if rows.is_empty():
            rows = pl.DataFrame([dict.fromkeys(_SAID)], schema=_SAID)
        about = (pl.lit(claim.text).alias("claim"), pl.lit(claim.query.name).alias("query"))
        frames.append(rows.select(*about, *_SAID))
    return pl.concat(frames)


def _answer(wh: Warehouse, claim: DeclaredClaim) -> pl.DataFrame:
    try:
        rows = wh.query(read_text(claim.query, "The query"), claim.parameters)
    except FexpError as error:
        raise BadInput(f"{claim.where}: {error}") from None
    try:
        return rows.select(*_SAID).cast(_SAID)  # type: ignore[arg-type]  # invariant dict
    except pl.exceptions.PolarsError:
        names = ", ".join(rows.columns)
        raise BadInput(
            f"{claim.where}: the query of a claim returns what (text), found and published "
            f"(numbers or null), and {claim.query.name} returns {names}."
        ) from None

"""Confusion matrices of human observers: adding them, reading them, comparing them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fexp_store import schemas
from fexp_store.analyses.expressions.corrected import Table
from fexp_store.analyses.expressions.similarity import similarities_of
from fexp_store.errors import BadInput, Conflict
from fexp_store.expressions import BASIC, check_expression
from fexp_store.given import MIB, read_csv
from fexp_store.warehouse import Warehouse, tables
from fexp_store.warehouse.names import check_name

_LABELS = ("study", "observer", "observer_kind", "stimulus_set")


@dataclass(frozen=True)
class ObserverTable:
    """A confusion matrix of the view ``responses``.

    Parameters
    ----------
    study, observer, observer_kind, stimulus_set : str
    expressions : tuple of str
        Of both axes.
    values : ndarray of shape (n_expressions, n_expressions)
        Counts or proportions, depicted by response; 0 where the source has no row.
    """

    study: str
    observer: str
    observer_kind: str
    stimulus_set: str
    expressions: tuple[str, ...]
    values: Table


def add_responses(
    wh: Warehouse,
    file: Path,
    *,
    study: str,
    observer: str = "human",
    stimulus_set: str = "unknown",
    kind: str = "human",
) -> int:
    """Add a confusion matrix to the table ``responses``.

    Parameters
    ----------
    file : Path
        CSV: long, with the columns depicted, response and count or proportion (and any of study,
        observer, observer_kind, stimulus_set instead of the arguments); or square, with the
        depicted expression in the first column and one column per response.

    Returns
    -------
    int
        Rows added.

    Raises
    ------
    BadInput
        If the file cannot be used.
    Conflict
        If this study has responses of this observer to this set already.
    """
    given = (study, observer, kind, stimulus_set)
    for name, value in zip(_LABELS, given, strict=True):
        check_name(name, value)
    listed = read_csv(file, "The table of responses", 64 * MIB)
    cells = _long(listed, file)
    values = zip(_LABELS, given, strict=True)
    rows = cells.with_columns(
        *(pl.lit(value).alias(name) for name, value in values if name not in cells.columns),
        pl.lit(file.name).alias("provenance"),
    )
    new = rows.select(_LABELS).unique()

    def taken() -> bool:
        stored = tables.read(wh.storage, "responses").join(new, on=_LABELS, how="semi")
        if not stored.is_empty():
            raise Conflict(
                f"Responses of {stored['observer'][0]} to {stored['stimulus_set'][0]} in the study "
                f"{stored['study'][0]} are stored already; give another study or observer."
            )
        return False

    tables.append(wh.storage, "responses", rows, key="responses", unless=taken)
    return rows.height


def read_tables(wh: Warehouse, kind: str | None = None) -> list[ObserverTable]:
    """Return every confusion matrix of the view ``responses``, or those of one observer_kind."""
    cells = wh.frame(schemas.sql("queries")["response_tables"])
    if kind is not None:
        cells = cells.filter(observer_kind=kind)
    found = []
    for labels, part in cells.group_by(_LABELS, maintain_order=True):
        present = set(part["depicted"]) | set(part["response"])
        expressions = tuple(x for x in BASIC if x in present)
        place = {label: i for i, label in enumerate(expressions)}
        values = np.zeros((len(place), len(place)))
        for depicted, response, value in part.select("depicted", "response", "value").iter_rows():
            if depicted in place and response in place:
                values[place[depicted], place[response]] = value
        study, observer, observer_kind, stimulus_set = (str(label) for label in labels)
        found.append(
            ObserverTable(study, observer, observer_kind, stimulus_set, expressions, values)
        )
    return found


def similar_observers(
    values: Table,
    expressions: list[str],
    wh: Warehouse,
    by_identity: Table | None = None,
) -> pl.DataFrame:
    """Correlate a confusion matrix with every human table that has the same expressions.

    Parameters
    ----------
    values : ndarray of shape (n_expressions, n_expressions)
    by_identity : ndarray of shape (n_people, n_expressions, n_expressions), optional
        Counts for each identity of the images, see `identity_tables`: for intervals.

    Returns
    -------
    DataFrame
        study, observer, observer_set, cells, statistic, value, corrected, low, high, p, n_cells.
    """
    rows = [
        {"study": t.study, "observer": t.observer, "observer_set": t.stimulus_set, **asdict(s)}
        for t in read_tables(wh, "human")
        if t.expressions == tuple(expressions)
        for s in similarities_of(values, t.values, by_identity)
    ]
    text = dict.fromkeys(("study", "observer", "observer_set", "cells", "statistic"), pl.String)
    numbers = dict.fromkeys(("value", "corrected", "low", "high", "p"), pl.Float64)
    return pl.DataFrame(rows, schema={**text, **numbers, "n_cells": pl.Int32})


def compare_responses(wh: Warehouse) -> pl.DataFrame:
    """Correlate every table of a network in ``responses`` with every human table.

    Returns
    -------
    DataFrame
        network_study, network, network_set, and the columns of `similar_observers`.
    """
    frames = [
        similar_observers(t.values, list(t.expressions), wh).select(
            pl.lit(t.study).alias("network_study"),
            pl.lit(t.observer).alias("network"),
            pl.lit(t.stimulus_set).alias("network_set"),
            pl.all(),
        )
        for t in read_tables(wh, "network")
    ]
    return pl.concat(frames)


def _long(listed: pl.DataFrame, file: Path) -> pl.DataFrame:
    """Return depicted, response and count or proportion, and the labels that the file gives."""
    if {"depicted", "response"} <= set(listed.columns):
        value = next((x for x in ("count", "proportion") if x in listed.columns), None)
        if value is None:
            raise BadInput(f"{file} has neither a column count nor a column proportion.")
        given = [name for name in _LABELS if name in listed.columns]
        cells = listed.select(*given, "depicted", "response", value)
    else:
        first, *columns = listed.columns
        cells = listed.unpivot(columns, index=first, variable_name="response").rename(
            {first: "depicted"}
        )
        value = "count" if cells["value"].dtype.is_integer() else "proportion"
        cells = cells.rename({"value": value})
    numbers = cells[value]
    if not numbers.dtype.is_numeric() or numbers.has_nulls() or (numbers < 0).any():
        raise BadInput(f"{file} must have a number of 0 or more in every cell of {value}.")
    labels = ("depicted", "response")
    checked = [pl.Series(name, [check_expression(str(x)) for x in cells[name]]) for name in labels]
    cells = cells.with_columns(checked)
    if cells.select(set(cells.columns) - {value}).is_duplicated().any():
        raise BadInput(f"{file} has two values for one depicted expression and response.")
    return cells

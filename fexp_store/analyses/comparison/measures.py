"""The measures of several networks, from the rows of the runs that are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.analyses.comparison import contrasts
from fexp_store.analyses.comparison.contrasts import Contrast
from fexp_store.analyses.expressions.corrected import corrected_similarity, identity_tables
from fexp_store.analyses.expressions.humans import ObserverTable
from fexp_store.analyses.expressions.similarity import cells_of
from fexp_store.warehouse import Warehouse

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """What is compared, with the group of each network in the column ``group``.

    Parameters
    ----------
    samples : DataFrame
        Of folds and continua: group, network, layer, measure, sampled_by, sample, value,
        test_by_train.
    answers : DataFrame
        group, network, layer, kind, test_set, stimulus_id, identity, depicted, response.
    people : list of ObserverTable
    """

    samples: pl.DataFrame
    answers: pl.DataFrame
    people: list[ObserverTable]


@dataclass(frozen=True)
class Side:
    """One network, or replicates of one, in one measure.

    Parameters
    ----------
    sd : float or None
        Over samples, replicates averaged first.
    replicates : ndarray of shape (n_networks,)
        One number of each.
    """

    sd: float | None
    replicates: Values


@dataclass(frozen=True)
class Measured:
    """Two sides in one measure.

    Parameters
    ----------
    measure, sampled_by : str
    a, b : Side
    contrast : Contrast
    """

    measure: str
    sampled_by: str
    a: Side
    b: Side
    contrast: Contrast


def read_rows(
    wh: Warehouse, runs: pl.DataFrame, groups: pl.DataFrame, people: list[ObserverTable]
) -> Rows:
    """Read the rows of runs.

    Parameters
    ----------
    runs : DataFrame
        kind, network, layer and run_id.
    groups : DataFrame
        network, layer and group.
    """
    queries, wanted = schemas.sql("queries"), runs["run_id"].to_list()
    samples = wh.frame(queries["measures"], runs=wanted).join(groups, on=["network", "layer"])
    answers = wh.frame(queries["compared_answers"], runs=wanted)
    answers = answers.join(runs.select("run_id", "kind"), on="run_id")
    return Rows(samples, answers.join(groups, on=["network", "layer"]), people)


def by_samples(a: pl.DataFrame, b: pl.DataFrame, permutations: int, seed: int) -> Measured | None:
    """Compare folds, or continua, that both sides have; None without any.

    Parameters
    ----------
    a, b : DataFrame
        Rows of `Rows.samples` of one measure.
    """
    one, other = (x.group_by("sample").agg(pl.col("value", "test_by_train").mean()) for x in (a, b))
    both = one.join(other, on="sample", suffix="_b").sort("sample")
    if both.is_empty():
        return None
    x, y = both["value"].to_numpy(), both["value_b"].to_numpy()
    sampled_by = a["sampled_by"][0]
    if sampled_by == "fold":
        contrast = contrasts.of_folds(x, y, float(both["test_by_train"].to_numpy().mean()))
    else:
        contrast = contrasts.of_continua(x, y, permutations, seed)
    first, second = (
        side.join(both, on="sample", how="semi")
        .group_by("network")
        .agg(pl.col("value").mean())
        .sort("network")["value"]
        .to_numpy()
        for side in (a, b)
    )
    return Measured(
        a["measure"][0], sampled_by, Side(_sd(x), first), Side(_sd(y), second), contrast
    )


def by_identities(
    a: pl.DataFrame,
    b: pl.DataFrame,
    people: Sequence[ObserverTable],
    permutations: int,
    seed: int,
) -> Iterator[Measured]:
    """Compare accuracies, and similarities to people, on the images that all networks classified.

    Parameters
    ----------
    a, b : DataFrame
        Rows of `Rows.answers` of one kind of run and one test set.
    """
    shared = _shared(a, b)
    if shared.is_empty():
        return
    expressions = sorted({x for side in (a, b) for x in (*side["depicted"], *side["response"])})
    one, other = (_tables(side, shared, expressions) for side in (a, b))
    images = one[0].sum(axis=(1, 2))
    x, y = (np.stack([t.trace(axis1=1, axis2=2) for t in side]) for side in (one, other))
    where, kind = a["test_set"][0], a["kind"][0]
    yield Measured(
        "decoding accuracy" if kind == "decode" else f"accuracy on {where}",
        "identity",
        Side(_sd(x.mean(axis=0) / images), x.sum(axis=1) / images.sum()),
        Side(_sd(y.mean(axis=0) / images), y.sum(axis=1) / images.sum()),
        contrasts.of_identities(x.mean(axis=0), y.mean(axis=0), images, permutations, seed),
    )
    if kind != "confuse":
        return
    for table in people:
        if table.expressions != tuple(expressions):
            continue
        for cells, mask in cells_of(len(expressions)).items():
            human = table.values
            found = contrasts.of_similarities(one, other, human, mask, permutations, seed)
            if found is not None:
                yield Measured(
                    f"pearson with {table.study} {table.stimulus_set}, {table.observer}, "
                    f"{cells} cells, on {where}",
                    "identity",
                    Side(None, _similarities(one, human, mask)),
                    Side(None, _similarities(other, human, mask)),
                    found,
                )


def _shared(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Images that every network of two sides classified: stimulus_id."""
    answered = pl.concat([a, b]).group_by("stimulus_id").len("networks")
    networks = a["run_id"].n_unique() + b["run_id"].n_unique()
    return answered.filter(pl.col("networks") == networks).select("stimulus_id")


def _tables(side: pl.DataFrame, shared: pl.DataFrame, expressions: Sequence[str]) -> list[Values]:
    """Counts of the answers to each identity, of each network of a side."""
    kept = side.join(shared, on="stimulus_id", how="semi").sort("network", "stimulus_id")
    return [
        identity_tables(
            part["depicted"].to_list(),
            part["response"].to_list(),
            part["identity"].to_list(),
            expressions,
        )
        for part in kept.partition_by("network", maintain_order=True)
    ]


def _similarities(tables: list[Values], human: Values, mask: NDArray[np.bool_]) -> Values:
    found = (corrected_similarity(t, human, mask) for t in tables)
    return np.array([x.value for x in found if x is not None])


def _sd(values: Values) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None

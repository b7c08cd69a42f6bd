"""Several networks side by side: each measure of their results, tested between every two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import polars as pl

from fexp_store import schemas
from fexp_store.analyses.results import store
from fexp_store.analyses.statistics import (
    Outcome,
    holm,
    mann_whitney,
    paired_t,
    single_against_group,
    welch_t,
    wilcoxon,
)
from fexp_store.analyses.units import units_name
from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.records import registered
from fexp_store.warehouse import Warehouse, runs

_TEXT = ("measure", "network_a", "network_b", "test", "sampled_by")
_COUNTS = ("replicates_a", "replicates_b", "n_a", "n_b")


def compare(
    wh: Warehouse,
    networks: Sequence[tuple[str, str]],
    stimulus_set: str,
    *,
    units: str = "selective",
    two_way: bool = False,
) -> pl.DataFrame:
    """Test the stored results of networks against one another and store the outcome.

    Networks of one network_group (seeds of an untrained network) are replicates: their values
    are averaged for each sample before a test, and their spread is given beside it. Paired tests
    take the samples that both have: folds (equal only if both were decoded with the same seed and
    number of folds), identities of the test set, or continua.

    Parameters
    ----------
    networks : sequence of tuple
        Network and layer.
    stimulus_set : str
        The set that their classifiers were trained on.
    units : str
        The choice of units whose results are compared.
    two_way : bool
        Whether the identifications compared are the two-way ones.

    Returns
    -------
    DataFrame
        The columns of ``results/comparison`` from measure on.

    Raises
    ------
    NotFound
        If a network has no results on this set.
    BadInput
        If there are fewer than two groups.
    """
    groups = {place: registered(wh, place[0]).network_group for place in networks}
    if len(set(groups.values())) < 2:
        raise BadInput("A comparison needs two networks that are not replicates of one another.")
    measures = read_measures(wh, groups, stimulus_set, units_name(units), two_way=two_way)
    options = {"stimulus_set": stimulus_set, "units": units_name(units), "two_way": two_way}
    places = sorted(f"{network}:{layer}" for network, layer in networks)
    run = runs.begin(wh.storage, "compare", {**options, "name": stimulus_set, "networks": places})
    found = comparison(measures)
    store(wh, run, {"name": stimulus_set}, {"comparison": found})
    return found


def read_measures(
    wh: Warehouse,
    groups: dict[tuple[str, str], str],
    stimulus_set: str,
    units: str,
    *,
    two_way: bool,
) -> pl.DataFrame:
    """Read the measures of networks and layers, with the group of each.

    Returns
    -------
    DataFrame
        group, network, measure, sampled_by, sample, value.
    """
    key = {"stimulus_set": stimulus_set, "units": units, "two_way": two_way}
    rows = wh.frame(schemas.sql("queries")["measures"], **key)
    wanted = pl.DataFrame(
        [(*place, group) for place, group in groups.items()],
        schema=["network", "layer", "group"],
        orient="row",
    )
    found = rows.join(wanted, on=["network", "layer"], how="inner")
    missing = wanted.join(found, on=["network", "layer"], how="anti")
    if not missing.is_empty():
        network, layer, _ = missing.row(0)
        raise NotFound(
            f"{network} {layer} has no results on {stimulus_set} with {units} units; run: "
            f"fexp decode --network {network} --layer {layer} --stimuli {stimulus_set}"
        )
    return found


def comparison(measures: pl.DataFrame) -> pl.DataFrame:
    """Test every two groups in every measure that both have.

    Parameters
    ----------
    measures : DataFrame
        See `read_measures`.

    Returns
    -------
    DataFrame
        One row per measure, pair of groups and test.
    """
    rows = []
    for (_, _), part in measures.group_by("measure", "sampled_by", maintain_order=True):
        groups = part["group"].unique().sort()
        for a, b in combinations(groups, 2):
            rows += _tests(part.filter(group=a), part.filter(group=b))
    if not rows:
        raise NotFound("These networks have no measure in common.")
    kinds = dict.fromkeys(_TEXT, pl.String()) | dict.fromkeys(_COUNTS, pl.Int32())
    frame = pl.DataFrame(rows, schema={name: kinds.get(name, pl.Float64()) for name in rows[0]})
    adjusted = [
        part.with_columns(pl.Series("p_holm", holm(part["p"].to_list()), pl.Float64))
        for part in frame.partition_by("measure", "test", maintain_order=True)
    ]
    return pl.concat(adjusted)


def _tests(a: pl.DataFrame, b: pl.DataFrame) -> list[dict[str, Any]]:
    """All tests of one measure between two groups."""
    one, other = (x.group_by("sample").agg(pl.col("value").mean()).sort("sample") for x in (a, b))
    both = one.join(other, on="sample", suffix="_b").sort("sample")
    x, y = one["value"].to_list(), other["value"].to_list()
    outcomes: dict[str, tuple[Outcome, int, int]] = {}
    if a["sampled_by"][0] != "network":
        pairs = both["value"].to_list(), both["value_b"].to_list()
        outcomes["paired t"] = (paired_t(*pairs), both.height, both.height)
        outcomes["wilcoxon"] = (wilcoxon(*pairs), both.height, both.height)
        outcomes["welch t"] = (welch_t(x, y), len(x), len(y))
        outcomes["mann-whitney"] = (mann_whitney(x, y), len(x), len(y))
    means = [_replicate_means(frame) for frame in (a, b)]
    if len(means[0]) == 1 or len(means[1]) == 1:
        single, group = sorted(means, key=len)
        outcome = single_against_group(single[0], group)
        outcomes["replicates t"] = (outcome, len(means[0]), len(means[1]))
    described = {
        "measure": a["measure"][0],
        "network_a": a["group"][0],
        "network_b": b["group"][0],
        "replicates_a": len(means[0]),
        "replicates_b": len(means[1]),
        "mean_a": one["value"].mean(),
        "mean_b": other["value"].mean(),
        "sd_a": one["value"].std(),
        "sd_b": other["value"].std(),
        "replicate_sd_a": pl.Series(means[0]).std(),
        "replicate_sd_b": pl.Series(means[1]).std(),
    }
    return [
        described
        | {"test": test, "sampled_by": a["sampled_by"][0], "n_a": n_a, "n_b": n_b}
        | {"statistic": statistic, "p": p}
        for test, ((statistic, p), n_a, n_b) in outcomes.items()
    ]


def _replicate_means(rows: pl.DataFrame) -> list[float]:
    return rows.group_by("network").agg(pl.col("value").mean()).sort("network")["value"].to_list()

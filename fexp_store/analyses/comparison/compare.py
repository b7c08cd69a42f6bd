"""Several networks side by side: each measure of their results, tested between every two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any

import polars as pl
from msgspec import Meta

from fexp_store import schemas
from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.expressions.training import Training
from fexp_store.analyses.reading.units import UnitChoice
from fexp_store.errors import BadInput, NotFound
from fexp_store.options import describe, plain, record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store

_TEXT = ("measure", "network_a", "network_b", "layer_a", "layer_b", "test", "sampled_by")
_COUNTS = ("replicates_a", "replicates_b", "n_a", "n_b")


@record
class Options(UnitChoice):
    """Options of `compare`; the units are those of the results that are compared."""

    two_way: Annotated[bool, Meta(description="Compare two-way identifications.")] = False


def compare(wh: Warehouse, places: Sequence[Place], options: Options) -> pl.DataFrame:
    """Test the stored results of several layers against one another, and store the outcome.

    Networks of one group (seeds of an untrained network) are replicates: their values are averaged
    for each sample before a test, and their spread is given beside it. Layers are kept apart.
    Paired tests take the samples that both have: folds, identities of the test set, or continua.
    Different architectures differ in more than their training: the fair contrast is a network and
    its untrained twin.

    Parameters
    ----------
    places : sequence of Place
        All of one stimulus set, that their classifiers were trained on.

    Returns
    -------
    DataFrame
        The columns of ``results/comparison`` from measure on.

    Raises
    ------
    NotFound
        If a network has no results on this set.
    BadInput
        If there are fewer than two groups, or results were made with other options.
    """
    groups = {place: registered(wh, place.network).network_group for place in places}
    if len({(group, place.layer) for place, group in groups.items()}) < 2:
        raise BadInput(
            "A comparison needs two networks that are not replicates of one another, or two layers."
        )
    run = begin(wh, ANALYSIS, places, options)
    measures = read_measures(wh, groups, options)
    _check_made_alike(compared_runs(wh, places, options))
    found = comparison(measures)
    name = pl.lit(places[0].stimulus_set).alias("name")
    store(wh.storage, run, {"comparison": found.select(name, pl.all())})
    return found


def compared_runs(wh: Warehouse, places: Sequence[Place], options: Options) -> pl.DataFrame:
    """Return the runs whose results are compared: kind, network, layer, what, run_id, parameters.

    A `what` is one analysis of one test set.
    """
    wanted = pl.DataFrame([place[:2] for place in places], ["network", "layer"], orient="row")
    query = schemas.sql("queries")["compared_runs"]
    key = {"stimulus_set": places[0].stimulus_set, **plain(options)}
    return wh.frame(query, **key).join(wanted, on=["network", "layer"], how="semi")


def _check_made_alike(found: pl.DataFrame) -> None:
    """Refuse results of classifiers that were trained in other ways."""
    options = describe(Training)
    for rows in found.partition_by("what", maintain_order=True):
        first, *others = rows.to_dicts()
        for other in others:
            made = [json.loads(row["parameters"]) for row in (first, other)]
            for name, default in ((option.name, option.default) for option in options):
                # A run that is older than an option was run as its default says.
                one, two = (parameters.get(name, default) for parameters in made)
                if one != two:
                    raise BadInput(
                        f"{first['network']} {first['layer']} and {other['network']} "
                        f"{other['layer']} cannot be compared: {first['what']} had {name} {one} "
                        f"for one and {two} for the other; run fexp {first['kind']} again on one."
                    )


def read_measures(wh: Warehouse, groups: dict[Place, str], options: Options) -> pl.DataFrame:
    """Read the measures of networks and layers, with the group of each.

    Returns
    -------
    DataFrame
        group, network, layer, measure, sampled_by, sample, value.
    """
    first, chosen = next(iter(groups)), plain(options)
    query = schemas.sql("queries")["measures"]
    rows = wh.frame(query, stimulus_set=first.stimulus_set, **chosen)
    wanted = pl.DataFrame(
        [(*place[:2], group) for place, group in groups.items()],
        schema=["network", "layer", "group"],
        orient="row",
    )
    found = rows.join(wanted, on=["network", "layer"], how="inner")
    missing = wanted.join(found, on=["network", "layer"], how="anti")
    for network, layer, _ in missing.iter_rows():
        place = first._replace(network=network, layer=layer)
        raise NotFound(
            f"{network} {layer} has no results on {place.stimulus_set} with {chosen['units']} "
            f"units; run: fexp decode {place.as_arguments}"
        )
    return found


def comparison(measures: pl.DataFrame) -> pl.DataFrame:
    """Test every two groups and layers in every measure that both have.

    Parameters
    ----------
    measures : DataFrame
        See `read_measures`.

    Returns
    -------
    DataFrame
        One row per measure, pair of groups (or of layers) and test.
    """
    from fexp_store.analyses import statistics

    rows = []
    for (_, _), part in measures.group_by("measure", "sampled_by", maintain_order=True):
        groups = part.partition_by("group", "layer", maintain_order=True)
        groups.sort(key=lambda rows: rows.select("group", "layer").row(0))
        for a, b in combinations(groups, 2):
            rows += _tests(a, b)
    if not rows:
        raise NotFound("These networks have no measure in common.")
    kinds = dict.fromkeys(_TEXT, pl.String()) | dict.fromkeys(_COUNTS, pl.Int32())
    frame = pl.DataFrame(rows, schema={name: kinds.get(name, pl.Float64()) for name in rows[0]})
    adjusted = [
        part.with_columns(pl.Series("p_holm", statistics.holm(part["p"].to_list()), pl.Float64))
        for part in frame.partition_by("measure", "test", maintain_order=True)
    ]
    return pl.concat(adjusted)


def _tests(a: pl.DataFrame, b: pl.DataFrame) -> list[dict[str, Any]]:
    """All tests of one measure between two groups."""
    from fexp_store.analyses import statistics

    one, other = (x.group_by("sample").agg(pl.col("value").mean()).sort("sample") for x in (a, b))
    both = one.join(other, on="sample", suffix="_b").sort("sample")
    x, y = one["value"].to_list(), other["value"].to_list()
    outcomes: dict[str, tuple[tuple[float | None, float | None], int, int]] = {}
    if a["sampled_by"][0] != "network":
        pairs = both["value"].to_list(), both["value_b"].to_list()
        outcomes["paired t"] = (statistics.paired_t(*pairs), both.height, both.height)
        outcomes["wilcoxon"] = (statistics.wilcoxon(*pairs), both.height, both.height)
        outcomes["welch t"] = (statistics.welch_t(x, y), len(x), len(y))
        outcomes["mann-whitney"] = (statistics.mann_whitney(x, y), len(x), len(y))
    means = [_replicate_means(frame) for frame in (a, b)]
    if len(means[0]) == 1 or len(means[1]) == 1:
        single, group = sorted(means, key=len)
        outcome = statistics.single_against_group(single[0], group)
        outcomes["replicates t"] = (outcome, len(means[0]), len(means[1]))
    described = {
        "measure": a["measure"][0],
        "network_a": a["group"][0],
        "network_b": b["group"][0],
        "layer_a": a["layer"][0],
        "layer_b": b["layer"][0],
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


ANALYSIS = Analysis(
    name="compare",
    options=Options,
    run=compare,
    tables=("comparison",),
    same_if=("networks", "stimulus_set", "units", "two_way"),
    shown=lambda found: found,
    reads=lambda wh, places, options: {
        "runs": sorted(compared_runs(wh, places, options)["run_id"])
    },
    compares=("decode", "confuse", "categorize"),
)

"""Several networks side by side: each measure of their results, tested between every two."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Annotated, Any, Literal

import polars as pl
from msgspec import Meta

from fexp_store import schemas
from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.comparison.contrasts import of_replicates
from fexp_store.analyses.comparison.measures import (
    Measured,
    Rows,
    by_identities,
    by_samples,
    read_rows,
)
from fexp_store.analyses.expressions.humans import read_tables
from fexp_store.analyses.expressions.training import Training
from fexp_store.analyses.reading.units import UnitChoice
from fexp_store.errors import BadInput, NotFound
from fexp_store.options import Count, Seed, describe, plain, record
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store

_TEXT = ("measure", "network_a", "network_b", "layer_a", "layer_b", "test", "sampled_by")
_COUNTS = ("replicates_a", "replicates_b", "n_a", "n_b")


@record
class Options(UnitChoice):
    """Options of `compare`; the units are those of the results that are compared."""

    two_way: Annotated[bool, Meta(description="Compare two-way identifications.")] = True
    selection: Annotated[
        Literal["nested", "circular", "elsewhere"],
        Meta(description="Compare results of units that were selected so."),
    ] = "nested"
    permutations: Annotated[
        Count, Meta(description="Permutations of the networks' labels; our choice.")
    ] = 2000
    seed: Annotated[Seed, Meta(description="Seed of the permutations.")] = 0


def compare(wh: Warehouse, places: Sequence[Place], options: Options) -> pl.DataFrame:
    """Test the stored results of several layers against one another, and store the outcome.

    Networks of one group (seeds of an untrained network) are replicates: their values are averaged
    for each sample before a test, and their spread is given beside it. Layers are kept apart.
    Tests are paired in what both have: identities of the test images, folds, or continua.
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
    runs = compared_runs(wh, places, options)
    _check_any(places, runs, options)
    _check_made_alike(runs)
    known = pl.DataFrame(
        [(*place[:2], group) for place, group in groups.items()],
        schema=["network", "layer", "group"],
        orient="row",
    )
    found = comparison(read_rows(wh, runs, known, read_tables(wh, "human")), options)
    name = pl.lit(places[0].stimulus_set).alias("name")
    store(wh.storage, run, {"comparison": found.select(name, pl.all())})
    return found


def compared_runs(wh: Warehouse, places: Sequence[Place], options: Options) -> pl.DataFrame:
    """Return the runs whose results are compared: kind, network, layer, what, run_id, parameters.

    A `what` is one analysis of one test set.
    """
    wanted = pl.DataFrame([place[:2] for place in places], ["network", "layer"], orient="row")
    query = schemas.sql("queries")["compared_runs"]
    chosen = {name: plain(options)[name] for name in ("units", "two_way", "selection")}
    found = wh.frame(query, stimulus_set=places[0].stimulus_set, **chosen)
    return found.join(wanted, on=["network", "layer"], how="semi")


def _check_any(places: Sequence[Place], runs: pl.DataFrame, options: Options) -> None:
    """Refuse networks and layers without results."""
    known = set(runs.select("network", "layer").iter_rows())
    for place in places:
        if tuple(place[:2]) not in known:
            raise NotFound(
                f"{place.network} {place.layer} has no results on {place.stimulus_set} with "
                f"{plain(options)['units']} units; run: fexp decode {place.as_arguments}"
            )


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


def comparison(rows: Rows, options: Options) -> pl.DataFrame:
    """Test every two groups and layers in every measure that both have.

    Returns
    -------
    DataFrame
        One row per measure, pair of groups (or of layers) and test.
    """
    from fexp_store.analyses import statistics

    sides = sorted(
        {
            side
            for frame in (rows.samples, rows.answers)
            for side in frame.select("group", "layer").unique().iter_rows()
        }
    )
    found = []
    for a, b in combinations(sides, 2):
        for measured in _measured(rows, a, b, options):
            found += _rows(measured, a, b)
    if not found:
        raise NotFound("These networks have no measure in common.")
    kinds = dict.fromkeys(_TEXT, pl.String()) | dict.fromkeys(_COUNTS, pl.Int32())
    frame = pl.DataFrame(found, schema={name: kinds.get(name, pl.Float64()) for name in found[0]})
    adjusted = [
        part.with_columns(pl.Series("p_holm", statistics.holm(part["p"].to_list()), pl.Float64))
        for part in frame.partition_by("measure", "test", maintain_order=True)
    ]
    return pl.concat(adjusted)


def _measured(
    rows: Rows, a: tuple[str, str], b: tuple[str, str], options: Options
) -> Iterator[Measured]:
    """All measures that two groups (or layers) have in common."""
    one, other = (rows.samples.filter(group=g, layer=layer) for g, layer in (a, b))
    for name in one["measure"].unique(maintain_order=True):
        first, second = (side.filter(measure=name) for side in (one, other))
        if second.is_empty():
            continue
        measured = by_samples(first, second, options.permutations, options.seed)
        if measured is not None:
            yield measured
    one, other = (rows.answers.filter(group=g, layer=layer) for g, layer in (a, b))
    for key in (
        one.select("kind", "test_set").unique().sort("kind", "test_set").iter_rows(named=True)
    ):
        first, second = (side.filter(**key) for side in (one, other))
        if not second.is_empty():
            yield from by_identities(first, second, rows.people, options.permutations, options.seed)


def _rows(measured: Measured, a: tuple[str, str], b: tuple[str, str]) -> list[dict[str, Any]]:
    """Rows of the table of one measure: its test, and one single network against replicates."""
    one, other = measured.a, measured.b
    tests = [(measured.sampled_by, measured.contrast)]
    if len(one.replicates) + len(other.replicates) > 2:
        against = of_replicates(one.replicates, other.replicates)
        tests += [("network", against)] if against is not None else []
    described = {
        "measure": measured.measure,
        "network_a": a[0],
        "network_b": b[0],
        "layer_a": a[1],
        "layer_b": b[1],
        "replicates_a": len(one.replicates),
        "replicates_b": len(other.replicates),
        "sd_a": one.sd,
        "sd_b": other.sd,
        "replicate_sd_a": pl.Series(one.replicates).std(),
        "replicate_sd_b": pl.Series(other.replicates).std(),
    }
    return [described | {"sampled_by": by} | asdict(contrast) for by, contrast in tests]


def _reads(wh: Warehouse, places: Sequence[Place], options: Options) -> dict[str, Any]:
    chosen = {} if options.units in ("selective", "random") else {"selection": "none"}
    return chosen | {"runs": sorted(compared_runs(wh, places, options)["run_id"])}


ANALYSIS = Analysis(
    name="compare",
    options=Options,
    run=compare,
    tables=("comparison",),
    same_if=("networks", "stimulus_set", "units", "two_way", "selection"),
    shown=lambda found: found,
    reads=_reads,
    compares=("decode", "confuse", "categorize"),
)

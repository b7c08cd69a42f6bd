"""How sure a selection is: between halves of the people, and by the number of people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from fexp_store.analyses.analysis import Analysis, begin
from fexp_store.analyses.reading.design import check_complete, check_one_image_per_cell
from fexp_store.analyses.reading.finite import read_blocks
from fexp_store.analyses.selectivity.anova import Design
from fexp_store.analyses.selectivity.criterion import Criterion
from fexp_store.analyses.selectivity.subsets import Members, selected_in
from fexp_store.errors import BadInput
from fexp_store.options import Seed, record
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.results import store

_FEWEST = 4  # people: two in each half


@record
class Options(Criterion):
    """Options of `reliability`: the rule of `select`, with levels that are not corrected."""

    splits: Annotated[
        int, Meta(ge=1, le=1000, description="Halve the people so often; our choice.")
    ] = 20
    step: Annotated[
        int,
        Meta(ge=2, le=100_000, description="Count at this number of people and its multiples."),
    ] = 6
    subsets: Annotated[
        int,
        Meta(ge=1, le=1000, description="Random groups of each number of people; our choice."),
    ] = 5
    seed: Annotated[Seed, Meta(description="Of halves, groups and shuffles.")] = 0


@dataclass(frozen=True)
class Reliability:
    """What `reliability` found for one layer.

    Parameters
    ----------
    splits : DataFrame
        A row per split, of the columns of ``results/split_halves`` from split on.
    by_people : DataFrame
        A row per group of people, of the columns of ``results/selection_by_people`` from n_people
        on.
    run_id : str
    """

    splits: pl.DataFrame
    by_people: pl.DataFrame
    run_id: str


def reliability(wh: Warehouse, place: Place, options: Options) -> Reliability:
    """Tell how far the selection of units depends on the people whose faces were shown.

    Units are selected for expression as by `fexp select`, in each of two random halves of the
    people, and the two selections are compared by Jaccard's index: units in both over units in
    either. Chance is said in two ways: what independent selections of these sizes share (the
    hypergeometric distribution), and what is found once labels are shuffled within people. Besides,
    units are counted in random groups of 6, 12, 18, … people.

    Raises
    ------
    NotFound
        If the network, the layer or the set is not there.
    BadInput
        If stimuli are missing, a cell of the design has not exactly one image, or there are fewer
        than four people.

    References
    ----------
    Jaccard 1912, New Phytol. 11:37; Zhang & Wu 2020 (reliability of selective units).
    """
    registered(wh, place.network).layer(place.layer)
    check_complete(wh, place)
    check_one_image_per_cell(wh, place.stimulus_set)
    design = Design.of(read_set(wh, place.stimulus_set))
    people = len(design.cells)
    if people < _FEWEST:
        raise BadInput(f"{place.stimulus_set} has {people} people; halves need {_FEWEST} or more.")
    run = begin(wh, ANALYSIS, place, options)
    rng = np.random.default_rng(options.seed)
    halves = _halves(people, options.splits, rng)
    groups = _groups(people, options.step, options.subsets, rng)
    members = np.concatenate([halves, groups], axis=1)
    blocks = (block.values for block in read_blocks(wh, place))
    varying, counts, both = _counted(
        selected_in(blocks, design, members, options, options.seed), halves.shape[1]
    )
    splits = _split_rows(people // 2, varying, counts[:, : halves.shape[1]], both)
    by_people = pl.DataFrame(
        {
            "n_people": groups.sum(axis=0),
            "draw": _numbered(groups.sum(axis=0)),
            "selective": counts[0, halves.shape[1] :],
            "shuffled": counts[1, halves.shape[1] :],
        }
    )
    store(wh.storage, run, {"split_halves": splits, "selection_by_people": by_people})
    return Reliability(splits, by_people, run.run_id)


def jaccard_by_chance(units: int, a: int, b: int) -> float | None:
    """Return the expected Jaccard index of two independent selections of a and b of some units.

    The sum over k of ``P(k) k / (a + b - k)``, with the hypergeometric probability P(k) of k units
    in both; None if a and b are 0.
    """
    from scipy.special import gammaln  # scipy.stats.hypergeom takes seconds for thousands of units

    if not a + b:
        return None
    k = np.arange(max(0, a + b - units), min(a, b) + 1)

    def log_choose(n: int, m: NDArray[np.int64] | int) -> NDArray[np.float64]:
        return np.asarray(gammaln(n + 1) - gammaln(np.add(m, 1)) - gammaln(np.subtract(n + 1, m)))

    p = np.exp(log_choose(a, k) + log_choose(units - a, b - k) - log_choose(units, b))
    return float(np.sum(p * k / (a + b - k)))


def _halves(people: int, splits: int, rng: np.random.Generator) -> Members:
    """Two columns for each split; one of an odd number of people is left out."""
    members = np.zeros((people, 2 * splits), bool)
    for split in range(splits):
        order = rng.permutation(people)
        for half in range(2):
            members[order[half::2][: people // 2], 2 * split + half] = True
    return members


def _groups(people: int, step: int, draws: int, rng: np.random.Generator) -> Members:
    """A column for each number of people and draw, where the smaller are part of the larger."""
    sizes = list(range(step, people, step))
    members = np.zeros((people, len(sizes) * draws + 1), bool)
    for draw in range(draws):
        order = rng.permutation(people)
        for number, size in enumerate(sizes):
            members[order[:size], number * draws + draw] = True
    members[:, -1] = True
    return members


def _counted(
    selections: Iterator[tuple[NDArray[np.bool_], ...]], n_halves: int
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Count varying units; and, true and shuffled, selective ones and those of both halves."""
    varying, counts, both = 0, [], []
    for varies, *selected in selections:
        varying += int(varies.sum())
        counts.append([found.sum(axis=0) for found in selected])
        pairs = [(found[:, :n_halves:2], found[:, 1:n_halves:2]) for found in selected]
        both.append([(one & other).sum(axis=0) for one, other in pairs])
    return varying, np.sum(counts, axis=0), np.sum(both, axis=0)


def _split_rows(
    n_people: int, varying: int, counts: NDArray[np.int64], both: NDArray[np.int64]
) -> pl.DataFrame:
    rows = []
    for split in range(both.shape[1]):
        (a, b), (shuffled_a, shuffled_b) = counts[:, 2 * split : 2 * split + 2].tolist()
        common, shuffled = both[:, split].tolist()
        rows.append(
            {
                "split": split,
                "n_people": n_people,
                "varying": varying,
                "selective_a": a,
                "selective_b": b,
                "both": common,
                "jaccard": _jaccard(a, b, common),
                "both_by_chance": a * b / varying if varying else 0.0,
                "jaccard_by_chance": jaccard_by_chance(varying, a, b),
                "shuffled_a": shuffled_a,
                "shuffled_b": shuffled_b,
                "shuffled_both": shuffled,
                "shuffled_jaccard": _jaccard(shuffled_a, shuffled_b, shuffled),
            }
        )
    shares = ("jaccard", "jaccard_by_chance", "shuffled_jaccard")
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(shares, pl.Float64))


def _jaccard(a: int, b: int, both: int) -> float | None:
    return both / (a + b - both) if a + b else None


def _numbered(sizes: NDArray[np.int64]) -> pl.Series:
    """Number the groups of each size from 0."""
    return pl.Series(sizes).to_frame("n").select(pl.int_range(pl.len()).over("n")).to_series()


def _shown(found: Reliability) -> pl.DataFrame:
    return found.by_people.group_by("n_people", maintain_order=True).agg(
        pl.len().alias("groups"), pl.col("selective", "shuffled").mean()
    )


def _said(found: Reliability) -> Iterator[str]:
    means = found.splits.mean().row(0, named=True)
    if means["jaccard"] is None:
        yield f"No unit is selective in a half of {means['n_people']:.0f} people."
        return
    shuffled = means["shuffled_jaccard"]
    yield (
        f"Of halves of {means['n_people']:.0f} people, {means['selective_a']:.0f} and "
        f"{means['selective_b']:.0f} units are selective and {means['both']:.0f} in both (means of "
        f"{found.splits.height} splits): Jaccard {means['jaccard']:.3f}, by chance "
        f"{means['jaccard_by_chance']:.3f}, with shuffled labels "
        f"{'undefined' if shuffled is None else f'{shuffled:.3f}'}."
    )


ANALYSIS = Analysis(
    name="reliability",
    options=Options,
    run=reliability,
    tables=("split_halves", "selection_by_people"),
    same_if=("network", "layer", "stimulus_set"),
    shown=_shown,
    said=_said,
)

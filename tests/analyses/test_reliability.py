"""Reliability: each group of people as if analysed alone, chance, and planted truth."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy.stats import hypergeom
from support.planted import add_network, plant, prototype_rows, register_rows
from support.writing import Fexp

from fexp_store import BadInput, Warehouse
from fexp_store.analyses.selectivity.anova import Design, sums_of_squares, with_tests
from fexp_store.analyses.selectivity.criterion import Criterion, selective_units
from fexp_store.analyses.selectivity.reliability import Options, jaccard_by_chance, reliability
from fexp_store.analyses.selectivity.subsets import selected_in
from fexp_store.warehouse.place import Place

PLACE = Place("net", "planted", "set1")


def responses(people: int, units: int, seed: int, planted: int = 0) -> np.ndarray:
    """Rectified noise about the person's own level; the first units respond to one expression."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(people, 6, units)) + 0.2 * rng.normal(size=(people, 1, units))
    for unit in range(planted):
        x[:, unit % 6, unit] += 2
    return np.maximum(x, 0).astype(np.float32).reshape(people * 6, units)


def stored(wh: Warehouse, values: np.ndarray) -> Warehouse:
    register_rows(wh, "set1", prototype_rows([f"p{i:02}" for i in range(len(values) // 6)]))
    add_network(wh, "net", values.shape[1])
    plant(wh, "net", "set1", values)
    return wh


@pytest.mark.parametrize("absence", ["p", "size", "equivalence"])
def test_each_group_is_selected_as_if_there_were_no_other_people(absence: str) -> None:
    rule = Criterion(alpha=0.2, absence=absence, bound=0.5)
    design = Design(np.random.default_rng(5).permutation(60).reshape(10, 6))
    rng = np.random.default_rng(0)
    values = responses(10, 300, 1, planted=40)[np.argsort(design.cells.ravel())]
    values[:, 290:] = 3  # constant
    values[design.cells[:, 1:].ravel(), 280:290] = 0  # of a single expression
    values[design.cells.ravel(), 270:280] = np.tile(np.arange(6), 10)[:, None]  # without error
    values[design.cells[:4].ravel(), 260:270] = 5  # constant for some of the people
    members = np.array([rng.permuted(np.arange(10) < n) for n in (2, 4, 4, 7, 10)]).T
    members[:, 1] = np.arange(10) < 4
    blocks = (values[:, i : i + 128] for i in range(0, 300, 128))
    parts = list(selected_in(blocks, design, members, rule, seed=3))
    varies, found, shuffled = (np.concatenate(part) for part in zip(*parts, strict=True))
    assert (varies == (np.ptp(values, axis=0) > 0)).all()
    labels = np.broadcast_to(np.arange(6), (5, 10, 6))
    labels = np.random.default_rng(3).permuted(labels, axis=2)
    for group, chosen in enumerate(members.T):
        cells = design.cells[chosen]
        moved = np.empty_like(cells)
        np.put_along_axis(moved, labels[group][chosen], cells, axis=1)
        alone = Design(np.arange(cells.size).reshape(cells.shape))
        for rows, selected in ((cells, found), (moved, shuffled)):
            sums = sums_of_squares(values[rows.ravel()], alone)
            table = with_tests(pl.DataFrame(sums), alone)
            expected = selective_units(table, rule, alone.df, "expression", 0.2).to_numpy()
            assert (selected[:, group] == expected).all(), group
        assert found[270:280, group].all()
    assert 0 < shuffled.sum() < found.sum()


@pytest.mark.parametrize(("units", "a", "b"), [(50, 10, 20), (9, 5, 7), (5, 5, 5), (30, 0, 4)])
def test_jaccard_by_chance_is_that_of_the_hypergeometric_distribution(
    units: int, a: int, b: int
) -> None:
    k = np.arange(min(a, b) + 1)
    expected = float(np.sum(hypergeom(units, a, b).pmf(k) * k / (a + b - k)))
    assert jaccard_by_chance(units, a, b) == pytest.approx(expected, rel=1e-9)
    assert jaccard_by_chance(units, 0, 0) is None


def test_jaccard_by_chance_of_many_units_is_that_of_draws() -> None:
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(300):
        a, b = (rng.permutation(5000)[:n] for n in (400, 700))
        both = len(np.intersect1d(a, b))
        draws.append(both / (1100 - both))
    error = np.std(draws) / np.sqrt(300)
    assert jaccard_by_chance(5000, 400, 700) == pytest.approx(np.mean(draws), abs=4 * error)


def test_noise_is_as_reliable_as_chance_and_planted_units_are_more(empty: Warehouse) -> None:
    wh = stored(empty, responses(24, 2000, 0, planted=300))
    planted = reliability(wh, PLACE, Options(alpha=0.05, seed=1))
    mean = planted.splits.mean().row(0, named=True)
    assert mean["jaccard"] > 3 * mean["jaccard_by_chance"]
    sizes = (round(mean["shuffled_a"]), round(mean["shuffled_b"]))
    assert mean["shuffled_jaccard"] == pytest.approx(jaccard_by_chance(2000, *sizes), rel=0.2)
    assert planted.splits["n_people"].unique().to_list() == [12]
    shown = wh.frame("FROM split_halves ORDER BY split")
    for column in planted.splits.columns:
        assert shown[column].to_list() == planted.splits[column].to_list()
    assert (shown["both_by_chance"] * 2000 == shown["selective_a"] * shown["selective_b"]).all()
    by_people = wh.frame("FROM selection_by_people ORDER BY n_people, draw")
    assert by_people["n_people"].to_list() == [6] * 5 + [12] * 5 + [18] * 5 + [24]
    means = by_people.group_by("n_people", maintain_order=True).agg(
        pl.col("selective", "shuffled").mean()
    )
    assert (means["selective"] > 2 * means["shuffled"]).all()
    assert means["shuffled"].to_numpy() == pytest.approx(2000 * 0.05 * 0.95, rel=0.35)


def test_on_noise_halves_share_what_chance_lets_them(empty: Warehouse) -> None:
    values = np.random.default_rng(2).normal(size=(72, 4000))
    found = reliability(stored(empty, values), PLACE, Options(alpha=0.05, splits=10)).splits
    mean = found.mean().row(0, named=True)
    assert mean["both"] == pytest.approx(mean["both_by_chance"], rel=0.35)
    assert mean["jaccard"] == pytest.approx(mean["jaccard_by_chance"], rel=0.35)
    assert mean["shuffled_jaccard"] == pytest.approx(mean["jaccard_by_chance"], rel=0.35)


def test_an_odd_person_is_left_out_and_too_few_are_refused(empty: Warehouse) -> None:
    wh = stored(empty, responses(5, 20, 0))
    found = reliability(wh, PLACE, Options(alpha=1e-9, splits=3, step=2))
    assert found.splits["n_people"].to_list() == [2] * 3
    assert found.splits["jaccard"].to_list() == [None] * 3
    assert found.by_people["n_people"].to_list() == [2] * 5 + [4] * 5 + [5]
    register_rows(wh, "set2", prototype_rows(["a", "b", "c"]))
    plant(wh, "net", "set2", np.zeros((18, 20)))
    with pytest.raises(BadInput, match="set2 has 3 people; halves need 4 or more"):
        reliability(wh, PLACE._replace(stimulus_set="set2"), Options())


def test_the_command_says_how_far_halves_agree(own_copy: Warehouse, fexp: Fexp) -> None:
    command = ("reliability", "-n", "dlib", "-l", "conv4_3", "-s", "set1", "--alpha", "0.05")
    done = fexp("-w", own_copy.location, *command, "--step", "4", "-f", "json")
    assert done.returncode == 0, done.stderr
    assert [row["n_people"] for row in json.loads(done.stdout)] == [4, 8]
    assert "Of halves of 4 people, " in done.stderr
    assert "(means of 20 splits): Jaccard " in done.stderr
    whole = own_copy.frame("FROM selection_by_people WHERE n_people = 8")["selective"].item()
    done = fexp("-w", own_copy.location, "select", *command[1:], "-f", "json")
    assert json.loads(done.stdout)[0]["selective"] == whole

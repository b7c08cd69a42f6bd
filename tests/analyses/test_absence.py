"""No effect of identity by p, size or equivalence: more people must not un-select units."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.oneway import equivalence_oneway_generic
from support.older import ADDED, make_older
from support.planted import add_network, plant, prototype_rows, register_rows
from support.writing import Fexp

from benchmarks.calibration_selection import (
    ABSENCES,
    UNITS,
    counts_by_people,
    halves,
    planted_found,
    simulated,
    within_chance,
)
from fexp_store import Warehouse
from fexp_store.analyses.selectivity.anova import Design
from fexp_store.analyses.selectivity.criterion import Criterion, largest_f, share_by_alpha
from fexp_store.analyses.selectivity.select import Options, select
from fexp_store.warehouse.place import Place


def df_of(people: int) -> dict[str, int]:
    return Design(np.zeros((people, 6), int)).df


@pytest.mark.parametrize("people", [3, 24, 104])
def test_equivalence_is_that_of_statsmodels(people: int) -> None:
    df, rule = df_of(people), Criterion(absence="equivalence", alpha=0.05, bound=0.1)
    limit = largest_f(rule, df, "identity")
    for f in (0.9 * limit, 1.1 * limit):
        test = equivalence_oneway_generic(
            f, people, np.full(people, 6), 0.1, (df["identity"], df["error"]), margin_type="f2"
        )
        assert (test.pvalue < 0.05) == (f < limit)


def test_the_limit_by_size_is_where_the_estimate_is_the_bound() -> None:
    df, rule = df_of(24), Criterion(absence="size", bound=0.08)
    rng = np.random.default_rng(0)
    people = rng.normal(size=24)
    people *= np.sqrt(0.08 / people.var())  # f squared over noise of variance 1
    x = people[:, None, None] + rng.normal(size=(24, 6, 4000))
    levels, means = x.mean(axis=1, keepdims=True), x.mean(axis=(0, 1))
    error = x - levels - x.mean(axis=0) + means
    f = 6 * np.square(levels - means).sum(axis=(0, 1)) / 23 / (np.square(error).sum((0, 1)) / 115)
    assert f.mean() * 113 / 115 == pytest.approx(largest_f(rule, df, "identity"), rel=0.01)


def test_by_p_the_limit_is_the_quantile_and_the_share_that_of_two_tests() -> None:
    for factor, other in (("expression", "identity"), ("identity", "expression")):
        df = df_of(10)
        limit = largest_f(Criterion(alpha=0.02), df, other)
        assert stats.f.sf(limit, df[other], df["error"]) == pytest.approx(0.02)
        assert share_by_alpha(Criterion(alpha=0.02), df, factor, 0.01) == pytest.approx(0.0098)


@pytest.mark.slow
@pytest.mark.parametrize("identity", [0, 0.04])
def test_more_people_select_more_by_size_and_equivalence_and_fewer_by_p(identity: float) -> None:
    counts = {
        absence: counts_by_people(range(4), absence, identity, (6, 48, 96)) for absence in ABSENCES
    }
    for absence in ("size", "equivalence"):
        first, second, third = counts[absence]
        assert first < second < third
    if identity:
        first, second, third = counts["p"]
        assert first > second > third


@pytest.mark.slow
@pytest.mark.parametrize("absence", ABSENCES)
def test_noise_is_within_chance_and_planted_units_are_found(absence: str) -> None:
    rule = Criterion(alpha=0.05, absence=absence, bound=0.3)
    assert sum(within_chance(12, seed, rule, 100) for seed in range(12)) >= 9
    hits, alarms = planted_found(range(2), 24, rule)
    assert hits > 0.9
    assert alarms <= 0.06


@pytest.mark.slow
def test_halves_of_noise_agree_as_chance_and_those_of_planted_units_more() -> None:
    found, chance, _ = halves(range(4), 24, 0.0)
    assert found < chance + 0.02
    found, chance, shuffled = halves(range(2), 24, 0.4)
    assert found > 0.6 > 10 * max(chance, shuffled) / 2


def test_simulated_activations_come_in_by_the_public_door_and_are_selected(
    empty: Warehouse, fexp: Fexp, tmp_path: Path
) -> None:
    register_rows(empty, "faces", prototype_rows([f"p{i:02}" for i in range(12)]))
    for name, effect in (("planted", 1), ("noise", 0)):
        np.save(tmp_path / f"{name}.npy", simulated(12, 3, expression=effect, shared=0.3))
        here = ("-n", name, "-l", "top", "-s", "faces")
        done = fexp("-w", empty.location, "import", f"{name}.npy", *here, "--source", "simulated")
        assert done.returncode == 0, done.stderr
        done = fexp("-w", empty.location, "select", *here, "--absence", "size", "-f", "json")
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)
        units = empty.frame(
            "FROM selectivity WHERE selective AND network = $network", network=name
        )["unit_id"]
        assert row["selective"] == len(units)
        if effect:
            assert (units < UNITS // 10).mean() > 0.85
            assert row["chance_p"] == pytest.approx(1 / 101)
        else:
            assert row["chance_low"] <= row["selective"] <= row["chance_high"]
    rules = empty.frame("SELECT DISTINCT absence, bound, permutations FROM selection").rows()
    assert rules == [("size", 0.0625, 100)]


def test_selections_of_earlier_versions_stand_beside_new_ones(
    empty: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_rows(empty, "faces", prototype_rows([f"p{i:02}" for i in range(6)]))
    add_network(empty, "net", 50)
    plant(empty, "net", "faces", np.random.default_rng(0).normal(size=(36, 50)))
    place = Place("net", "planted", "faces")
    first = select(empty, place, Options(alpha=0.1))
    monkeypatch.setitem(ADDED, "results/selection", ["absence", "bound"])
    make_older(empty)
    older = Warehouse(empty.location)
    columns = "SELECT run_id, absence, bound, selective, expected_by_alpha FROM selection"
    expected = [(first.run_id, None, None, first.selective, first.expected)]
    assert older.frame(columns).rows() == expected
    second = select(older, place, Options(alpha=0.1, absence="size", bound=0.5))
    expected.append((second.run_id, "size", 0.5, second.selective, second.expected))
    assert older.frame(columns).rows() == expected

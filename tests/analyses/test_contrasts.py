"""Tests of two networks: against scipy, and levels and power on simulated networks."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from benchmarks.calibration_compare import (
    HUMAN,
    draw,
    held_r,
    rejections,
    similar_table,
    told_apart,
)
from fexp_store.analyses.comparison.contrasts import of_continua, of_replicates, of_similarities
from fexp_store.analyses.expressions.corrected import corrected_similarity, row_normalised
from fexp_store.analyses.expressions.similarity import cells_of
from fexp_store.analyses.statistics import sign_flips, standardised

ALL = cells_of(6)["all"]


def test_sign_flips_are_those_of_scipy() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1, 7)
    by_scipy = stats.permutation_test(
        (differences, np.zeros(7)),
        lambda x, y, axis: (x - y).sum(axis=axis),
        permutation_type="samples",
    )
    found = of_continua(differences, np.zeros(7), 2000, 0)
    assert found.p == pytest.approx(by_scipy.pvalue, abs=1e-12)
    expected = stats.ttest_1samp(differences, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-9)
    assert sign_flips(np.ones(7), 2000, 0)[1] == 2 / 128


def test_drawn_sign_flips_are_near_the_exact_ones_and_the_same_again() -> None:
    differences = np.random.default_rng(1).normal(0.3, 1, 14)
    _, exact = sign_flips(differences, 1 << 14, 0)
    _, drawn = sign_flips(differences, 10_000, 0)
    assert drawn == pytest.approx(exact, abs=0.015)
    assert drawn == sign_flips(differences, 10_000, 0)[1]


def test_alike_samples_cannot_be_tested() -> None:
    assert sign_flips(np.zeros(7), 2000, 0) == (None, None)
    found = of_continua(np.ones(7), np.ones(7), 2000, 0)
    assert (found.difference, found.low, found.effect, found.p) == (0, None, None, None)


@pytest.mark.parametrize(("t", "n"), [(0.4, 20), (3.1, 20), (-2.5, 7), (12.0, 40)])
def test_ends_of_an_effect_make_t_a_quantile(t: float, n: int) -> None:
    d, low, high = standardised(t, n, n - 1)
    assert d is not None
    assert low is not None
    assert high is not None
    assert d == pytest.approx(t / np.sqrt(n))
    assert stats.nct.cdf(t, n - 1, low * np.sqrt(n)) == pytest.approx(0.975, abs=1e-6)
    assert stats.nct.cdf(t, n - 1, high * np.sqrt(n)) == pytest.approx(0.025, abs=1e-6)


def test_replicates_t_has_the_sign_of_a_minus_b() -> None:
    single, group = np.array([0.9]), np.array([0.5, 0.6, 0.55])
    one, other = of_replicates(single, group), of_replicates(group, single)
    assert one is not None
    assert other is not None
    assert one.statistic == pytest.approx(0.35 / (group.std(ddof=1) * np.sqrt(4 / 3)))
    assert one.effect == pytest.approx(0.35 / group.std(ddof=1))
    assert other.statistic == pytest.approx(-one.statistic)
    assert other.p == one.p
    assert of_replicates(group, group) is None


def test_corrected_correlation_by_hand() -> None:
    tables = draw(similar_table(0.6, ALL, 1), 12, 3, np.random.default_rng(0))
    human = row_normalised(HUMAN).ravel()

    def cells(counts: np.ndarray) -> np.ndarray:
        rows = counts.sum(axis=0)
        x = (rows / rows.sum(axis=1, keepdims=True)).ravel()
        return np.asarray(x - x.mean())

    x = cells(tables)
    left = np.array([cells(np.delete(tables, i, axis=0)) for i in range(12)])
    noise = 11 / 12 * ((left - left.mean(axis=0)) ** 2).sum()
    raw = np.corrcoef(x, human)[0, 1]
    found = corrected_similarity(tables, HUMAN, ALL)
    assert found is not None
    assert found.value == pytest.approx(raw / np.sqrt(1 - noise / (x @ x)), abs=1e-12)


def test_a_table_of_noise_has_no_corrected_correlation() -> None:
    flat, rng = np.ones((6, 6)), np.random.default_rng(0)
    found = [corrected_similarity(draw(flat, 20, 1, rng), HUMAN, ALL) for _ in range(40)]
    assert sum(x is None for x in found) > 10
    tables = np.stack([np.roll(np.eye(6), i, axis=1) for i in range(6)])
    assert corrected_similarity(tables, HUMAN, ALL) is None
    assert corrected_similarity(tables[:1], HUMAN, ALL) is None
    assert of_similarities([tables], [tables], HUMAN, ALL, 99, 0) is None


def test_networks_that_answer_alike_do_not_differ() -> None:
    tables = draw(similar_table(0.6, ALL, 1), 20, 4, np.random.default_rng(0))
    found = of_similarities([tables], [tables], HUMAN, ALL, 99, 0)
    assert found is not None
    assert (found.difference, found.p) == (0, None)


@pytest.mark.slow
def test_networks_that_are_unlike_in_similarity_are_told_apart_and_others_are_not() -> None:
    assert told_apart((0.9, 0.6), (1, 2), "all", 20, 4, 30) >= 27
    assert told_apart((0.9, 0.9), (1, 2), "all", 20, 4, 30) <= 5


@pytest.mark.slow
def test_intervals_of_r_hold_the_true_one() -> None:
    cases = product((0.9, 0.6, 0.3), ("all", "errors"), (1, 4))
    held = [held_r(r, cells, 20, images, 100) for r, cells, images in cases]
    assert 0.92 <= np.mean(held) <= 0.98
    assert min(held) > 0.86


@pytest.mark.slow
def test_equal_networks_are_told_apart_as_often_as_the_level_says() -> None:
    rates = rejections(100)
    error = np.sqrt(0.05 * 0.95 / 100)
    assert max(rates.values()) < 0.07 + 3 * error  # the worst of six
    assert 0.03 <= np.mean(list(rates.values())) <= 0.07

"""The peak of discrimination: distances by hand, and p on linear and on step codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

from benchmarks.calibration_morphs import Codes, add_sets, decided, in_turn, put_all, run_on
from fexp_store import Warehouse
from fexp_store.analyses.morphs.continuum import Continuum
from fexp_store.analyses.morphs.discrimination import correlation
from fexp_store.analyses.morphs.geometry import (
    end_distances,
    noise,
    relative_speeds,
    second_differences,
    step_distances,
)
from fexp_store.analyses.morphs.linear_codes import simulated_identification, simulated_speeds
from fexp_store.analyses.morphs.peak import chance, change_weights, contrast, peak

Array = NDArray[np.float64]
LEVELS = np.linspace(0, 1, 11)


def straight(people: int, units: int, sd: float, seed: int) -> Array:
    """Linear codes of shape (people, levels, units)."""
    rng = np.random.default_rng(seed)
    ends = rng.normal(size=(people, 2, 1, units))
    share = LEVELS[:, None]
    values: Array = (1 - share) * ends[:, 0] + share * ends[:, 1]
    return values + sd * rng.normal(size=values.shape)


def products_of(values: Array) -> Array:
    return np.stack([x.astype(np.float64) @ x.astype(np.float64).T for x in values])


def test_distances_are_those_between_responses() -> None:
    values = straight(3, 40, 0.2, 0)
    levels = np.array([0, 0.05, 0.1, 0.25, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
    products = products_of(values)
    steps, ends = step_distances(products), end_distances(products)
    by_hand = np.linalg.norm(np.diff(values, axis=1), axis=2)
    assert steps == pytest.approx(by_hand, rel=1e-6)
    whole = np.linalg.norm(values[:, -1] - values[:, 0], axis=1)
    assert ends == pytest.approx(whole, rel=1e-6)
    speeds = relative_speeds(steps, ends, levels)
    assert speeds == pytest.approx(by_hand / np.diff(levels) / whole[:, None], rel=1e-6)


def test_of_an_exactly_linear_code_every_speed_is_1_and_no_second_difference_is_left() -> None:
    levels = np.array([0, 0.1, 0.15, 0.4, 0.6, 0.7, 1])
    ends = np.random.default_rng(1).normal(size=(2, 30))
    values = (1 - levels)[:, None] * ends[0] + levels[:, None] * ends[1]
    products = products_of(values[None])
    speeds = relative_speeds(step_distances(products), end_distances(products), levels)
    assert speeds == pytest.approx(np.ones((1, 6)), abs=1e-6)
    assert second_differences(levels) @ values == pytest.approx(np.zeros((5, 30)), abs=1e-12)


@pytest.mark.parametrize("units", [10, 400])
def test_noise_is_told_from_second_differences(units: int) -> None:
    values = straight(20, units, 0.3, 2)
    found = noise(products_of(values), LEVELS)
    assert found.power.mean() == pytest.approx(units * 0.09, rel=0.1)
    assert 0.6 * units < found.dimensions[0] < 1.1 * units
    values[:, 6:] += 2  # a step, which is in two of the nine second differences
    beside = noise(products_of(values), LEVELS)
    assert beside.power.mean() == pytest.approx(units * 0.09, rel=0.4)
    assert beside.dimensions[0] < 1.1 * units


def test_codes_without_noise_count_as_rounded_to_float32() -> None:
    values = straight(5, 100, 0, 3).astype(np.float32)
    found = noise(products_of(values), LEVELS)
    size = np.linalg.norm(values, axis=2).mean()
    assert (found.dimensions == 1).all()
    assert np.sqrt(found.power) == pytest.approx(size * 2.0**-22, rel=0.5)


def test_simulated_linear_codes_are_as_linear_codes_are() -> None:
    """Mean and SD of speeds, beside those of many codes with the same end points and noise."""
    ends = np.random.default_rng(3).normal(size=(2, 60))
    rng = np.random.default_rng(4)
    share = LEVELS[:, None]
    clean = (1 - share) * ends[0] + share * ends[1]
    many = clean + 0.1 * rng.normal(size=(1500, *clean.shape))
    products = many @ many.transpose(0, 2, 1)
    real = relative_speeds(step_distances(products), end_distances(products), LEVELS)
    known = noise(products, LEVELS)
    made = simulated_speeds(products[:50], LEVELS, noise(products[:50], LEVELS), 200, rng)
    assert known.power.mean() == pytest.approx(0.6, rel=0.05)
    assert made.mean() == pytest.approx(real.mean(), rel=0.02)
    assert made.std() == pytest.approx(real.std(), rel=0.12)


def test_weights_are_the_changes_of_the_others() -> None:
    second = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1]], float)
    weights = change_weights(second)
    assert weights[0] == pytest.approx([0.5, 0, 0.5])
    assert weights[2] == pytest.approx([0, 0.5, 0.5])
    # Where all change at once, the contrast is the speed there minus the mean of the others.
    assert contrast(np.array([[0, 1, 0, 0]])) == pytest.approx(
        np.array([[-1 / 3, 1, -1 / 3, -1 / 3]])
    )
    assert np.isnan(change_weights(np.ones((4, 3)))).all()
    assert np.isnan(change_weights(second[:, :1])).all()


def test_p_counts_itself_among_the_simulations() -> None:
    assert chance(2.0, np.array([1.0, 2.0, 3.0])) == 3 / 4
    assert chance(9.0, np.arange(9.0)) == 0.1
    assert chance(1.0, np.empty(0)) is None


def test_correlation_is_pearson_s() -> None:
    a, b = np.random.default_rng(5).normal(size=(2, 10))
    assert correlation(a, b) == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-9)
    assert correlation(a, np.ones(10)) is None


def test_people_can_be_given_in_units_of_their_own() -> None:
    """A scale of one person's responses changes nothing: no distance is compared raw."""
    values = straight(8, 50, 0.2, 6)
    second = (LEVELS[:, None] > np.linspace(0.3, 0.7, 8)).astype(float)
    names = tuple("abcdefgh")
    scales = np.array([1, 5, 0.1, 2, 1, 30, 1, 7.0])[:, None, None]
    found = [
        peak(
            Continuum(("a", "b"), LEVELS, names, second, None, products_of(x)),
            200,
            np.random.default_rng(0),
        )
        for x in (values, values * scales)
    ]
    assert found[0].peaks == pytest.approx(found[1].peaks, abs=1e-6)
    assert found[0].p == found[1].p


def test_identification_of_linear_codes_is_simulated_between_the_decisions_of_their_ends() -> None:
    decisions = (LEVELS[:, None] - np.linspace(0.22, 0.78, 8)) * 3
    curves = simulated_identification(decisions, LEVELS, 5, np.random.default_rng(0))
    expected = (decisions > 0).mean(axis=1)
    assert curves == pytest.approx(np.tile(expected, (5, 1)))
    bent = decisions + 0.5 * np.sin(40 * LEVELS)[:, None]
    noisy = simulated_identification(bent, LEVELS, 50, np.random.default_rng(0))
    assert len(np.unique(noisy, axis=0)) > 10


@pytest.mark.slow
@pytest.mark.parametrize("people", [8, 12])
def test_steps_are_categorical_and_lines_are_not(people: int) -> None:
    """Ten simulations of each, with and without noise; all that 100 allow is a tenth of 10."""
    lines = decided(in_turn(0, people, 10))
    steps = decided(in_turn(40, people, 10))
    assert lines["categorical"].sum() <= 1
    assert steps["categorical"].sum() >= 9
    assert lines["p"].min() > 0.002


@pytest.mark.slow
@pytest.mark.parametrize("steep", [0, 40, 15])
def test_a_reversed_continuum_moves_no_boundary(
    empty: Warehouse, tmp_path: Path, steep: float
) -> None:
    codes = Codes(steep, 0.2, 12, spread=0.1)
    fits, rows = [], []
    for reverse in (False, True):
        end = add_sets(empty, 12, 11, reverse=reverse)
        put_all(empty, f"net{reverse}", end, [codes])
        found = run_on(empty, f"net{reverse}", end, 0, simulations=1000)
        fits.append(found.fits)
        rows.append(found.categorical.row(0, named=True))
    forward, back = fits
    assert forward["boundary"].null_count() == 0
    assert back["boundary"].to_numpy() == pytest.approx(1 - forward["boundary"], abs=0.005)
    assert back["r2"].to_numpy() == pytest.approx(forward["r2"].to_numpy(), abs=1e-4)
    assert back["log_likelihood"].to_numpy() == pytest.approx(
        forward["log_likelihood"].to_numpy(), abs=1e-3
    )
    assert rows[0]["peak"] == pytest.approx(rows[1]["peak"], abs=1e-5)
    assert rows[0]["p"] == pytest.approx(rows[1]["p"], abs=0.06)
    assert rows[0]["categorical"] == rows[1]["categorical"]
    answers = empty.frame("FROM morph_answers WHERE network = 'netTrue'")
    assert answers.height == 12 * 11
    second = (pl.col("decision") > 0) == (pl.col("response") == pl.col("morph_to"))
    assert answers.select(second.all()).item()

"""Intervals of boundary and slope: derivatives against differences, and how many hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from benchmarks.calibration_morphs import covered
from fexp_store.analyses.morphs.curves import MODELS, fit
from fexp_store.analyses.morphs.intervals import intervals, measure, standard_errors
from fexp_store.analyses.morphs.many import least_squares_many

LEVELS = np.linspace(0, 1, 21)


@pytest.mark.parametrize("model", MODELS)
def test_measures_and_their_derivatives_are_those_of_the_fitted_curves(model: str) -> None:
    curve = 0.1 + 0.8 * expit(9 * (LEVELS - 0.42))
    found = measure(model, LEVELS, least_squares_many(model, LEVELS, curve[None]))
    alone = fit(model, LEVELS, curve)
    assert alone.boundary is not None
    assert alone.slope is not None
    slope = np.log(alone.slope) if model == "logistic" else alone.slope
    assert found.values[0] == pytest.approx([alone.boundary, slope], abs=1e-6)
    small = 1e-5
    moved = np.concatenate([curve + small * np.eye(21), curve - small * np.eye(21)])
    values = measure(model, LEVELS, least_squares_many(model, LEVELS, moved)).values
    by_difference = (values[:21] - values[21:]).T / (2 * small)
    assert found.by_curve[0] == pytest.approx(by_difference, abs=2e-2 * np.abs(by_difference).max())


def test_the_standard_error_of_a_linear_statistic_is_that_of_a_mean() -> None:
    """The slope of a line is a weighted sum of the curve: of each person's own slope, the mean."""
    rng = np.random.default_rng(0)
    second = (rng.random((21, 15)) < LEVELS[:, None]).astype(float)
    curve = second.mean(axis=1)[None]
    found = measure("linear", LEVELS, least_squares_many("linear", LEVELS, curve))
    error = standard_errors(found, second, np.ones((1, 15)), curve)[0, 1]
    own = np.polyfit(LEVELS, second, 1)[0]
    assert error == pytest.approx(stats.sem(own), rel=1e-6)


def test_of_a_step_neither_its_slope_nor_its_place_between_levels_is_told() -> None:
    second = np.tile((LEVELS > 0.62).astype(float)[:, None], (1, 12))
    fitted = fit("logistic", LEVELS, second.mean(axis=1))
    found = intervals(fitted, LEVELS, second, 200, np.random.default_rng(0))
    assert found.slope is None
    assert found.boundary is not None
    assert found.boundary[0] <= 0.6 + 1e-9
    assert found.boundary[1] >= 0.65 - 1e-9
    assert found.boundary[1] - found.boundary[0] < 0.11


def test_of_one_person_nothing_is_estimated() -> None:
    second = (LEVELS > 0.3).astype(float)[:, None] * 0.5 + 0.25
    fitted = fit("linear", LEVELS, second.mean(axis=1))
    found = intervals(fitted, LEVELS, second, 50, np.random.default_rng(0))
    assert found.slope is None


def test_intervals_are_where_the_fitted_curve_is() -> None:
    rng = np.random.default_rng(4)
    p = expit(12 * (LEVELS[:, None] - 0.55) + rng.normal(size=30))
    second = (rng.random(p.shape) < p).astype(float)
    fitted = fit("logistic", LEVELS, second.mean(axis=1))
    found = intervals(fitted, LEVELS, second, 500, rng)
    assert found.boundary is not None
    assert found.slope is not None
    assert fitted.boundary is not None
    assert fitted.slope is not None
    assert found.boundary[0] < fitted.boundary < found.boundary[1]
    assert np.sqrt(found.slope[0] * found.slope[1]) == pytest.approx(fitted.slope, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("sd", [0, 1, 2])
def test_nineteen_of_twenty_intervals_hold_the_population_s_boundary_and_slope(sd: float) -> None:
    """Of 200 tables at 20 people; bounds are .92 to .98 and .90 to .99, and two SE of chance."""
    share = covered(sd, 200, resamples=300)
    assert 0.92 - 0.03 <= share["boundary"] <= 0.98 + 0.02
    assert 0.90 - 0.03 <= share["slope"] <= 1.0
    assert share["boundary_none"] < 0.02
    assert share["slope_none"] < 0.35

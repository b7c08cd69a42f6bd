"""Likelihoods of identification curves: against statsmodels, scipy, loops and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.special import expit

from fexp_store.analyses.morphs.curves import MODELS, PARAMETERS, curve, fit
from fexp_store.analyses.morphs.likelihood import likelihood
from fexp_store.analyses.morphs.many import (
    CLIP,
    least_squares_many,
    most_likely_many,
)

Array = NDArray[np.float64]
LEVELS = np.linspace(0, 1, 11)


def answers(people: int, seed: int, steep: float = 8.0, sd: float = 1.0) -> Array:
    """0 or 1 of each level and person, (levels, people)."""
    rng = np.random.default_rng(seed)
    p = expit(steep * (LEVELS[:, None] - 0.5) + sd * rng.normal(size=people))
    return (rng.random(p.shape) < p).astype(float)


def by_hand(model: str, parameters: Array, second: Array) -> float:
    p = np.clip(curve(model, LEVELS, tuple(parameters)), CLIP, 1 - CLIP)
    return float(stats.bernoulli.logpmf(second, p[:, None]).sum())


def generalised(second: Array, link: object) -> sm.GLM:
    y = np.stack([second.sum(axis=1), (1 - second).sum(axis=1)], axis=1)
    return sm.GLM(y, sm.add_constant(LEVELS), family=sm.families.Binomial(link=link))


@pytest.mark.filterwarnings("ignore:The Identity link function")
def test_a_line_s_likelihood_is_that_of_a_binomial_model_with_identity_link() -> None:
    rng = np.random.default_rng(2)
    second = (rng.random((11, 40)) < 0.3 + 0.4 * LEVELS[:, None]).astype(float)
    theirs = generalised(second, sm.families.links.Identity()).fit()
    ours = most_likely_many("linear", LEVELS, second.mean(axis=1)[None])[0]
    assert ours == pytest.approx(theirs.params, abs=1e-6)
    found = likelihood("linear", LEVELS, second)
    assert found is not None
    assert found.log_likelihood == pytest.approx(by_hand("linear", theirs.params, second), abs=1e-6)


def test_where_asymptotes_are_0_and_1_the_logistic_is_a_logistic_regression() -> None:
    """Of answers whose most likely asymptotes are 0 and 1, the four parameters reduce to two."""
    proportions = np.array([0, 0, 0, 0.1, 0.3, 0.5, 0.7, 0.9, 1, 1, 1])
    second = (np.arange(10) < 10 * proportions[:, None] - 1e-9).astype(float)
    theirs = generalised(second, sm.families.links.Logit()).fit(tol=1e-12)
    (ours,) = most_likely_many("logistic", LEVELS, proportions[None])
    assert ours[:2] == pytest.approx([0, 1], abs=1e-9)
    constant, linear = theirs.params
    assert ours[2:] == pytest.approx([linear, -constant / linear], rel=1e-5)
    found = likelihood("logistic", LEVELS, second)
    assert found is not None
    p = theirs.predict()
    assert found.log_likelihood == pytest.approx(by_hand("logistic", ours, second), abs=1e-6)
    expected = float(stats.bernoulli.logpmf(second, p[:, None]).sum())
    assert found.log_likelihood == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", range(4))
def test_no_search_finds_more_likely_parameters(model: str, seed: int) -> None:
    second = answers(20, seed)
    found = likelihood(model, LEVELS, second)
    assert found is not None
    limits = {
        "linear": [(-3, 1), (0, 6)],
        "poly2": [(-3, 1), (-4, 8), (-8, 8)],
        "logistic": [(0, 1), (0, 1), (0.1, 100), (0, 1)],
    }[model]
    searched = optimize.differential_evolution(
        lambda x: -by_hand(model, x, second), limits, rng=seed, tol=1e-10, maxiter=300
    )
    assert found.log_likelihood >= -searched.fun - 1e-3


@pytest.mark.parametrize("model", MODELS)
def test_criteria_and_people_left_out_are_those_of_a_loop(model: str) -> None:
    second = answers(12, 5)
    found = likelihood(model, LEVELS, second)
    assert found is not None
    k = PARAMETERS[model]
    (parameters,) = most_likely_many(model, LEVELS, second.mean(axis=1)[None])
    greatest = by_hand(model, parameters, second)
    assert found.log_likelihood == pytest.approx(greatest, abs=1e-6)
    assert found.aic == pytest.approx(2 * k - 2 * greatest, abs=1e-6)
    assert found.bic == pytest.approx(k * np.log(11 * 12) - 2 * greatest, abs=1e-6)
    each = []
    for person in range(12):
        others = np.delete(second, person, axis=1).mean(axis=1)
        (parameters,) = most_likely_many(model, LEVELS, others[None])
        each.append(by_hand(model, parameters, second[:, [person]]) / 11)
    assert found.left_out == pytest.approx(np.mean(each), abs=1e-6)


def test_few_levels_and_one_person_have_what_can_be_told() -> None:
    assert likelihood("logistic", np.array([0, 0.5, 1]), np.ones((3, 4))) is None
    alone = likelihood("linear", LEVELS, answers(1, 0))
    assert alone is not None
    assert alone.left_out is None


@pytest.mark.parametrize("seed", range(6))
def test_many_fits_at_once_are_as_good_as_one_by_one(seed: int) -> None:
    curves = np.stack([answers(15, 10 * seed + i, 5 + 2 * i).mean(axis=1) for i in range(6)])
    for model in MODELS:
        many = least_squares_many(model, LEVELS, curves)
        for values, parameters in zip(curves, many, strict=True):
            alone = fit(model, LEVELS, values)
            costs = [
                float(((values - curve(model, LEVELS, tuple(x))) ** 2).sum())
                for x in (parameters, alone.parameters)
            ]
            assert costs[0] == pytest.approx(costs[1], abs=2e-4)
            if model != "logistic":
                assert parameters == pytest.approx(alone.parameters, abs=1e-9)

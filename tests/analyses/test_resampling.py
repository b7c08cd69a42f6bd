"""Intervals over identities: coverage on simulated people, and other people's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import balanced_accuracy_score

from benchmarks.calibration_compare import IMAGES, SPREADS, TRUTHS, coverage
from fexp_store.analyses.resampling import (
    balanced_accuracy,
    identity_interval,
    jackknife_error,
    jackknife_interval,
    per_identity,
    resampled_accuracies,
)

RIGHT = np.array([6.0, 3, 5, 2, 4])
IMAGES_OF = np.array([6.0, 6, 7, 5, 6])


@pytest.mark.slow
@pytest.mark.parametrize("images", IMAGES)
@pytest.mark.parametrize("spread", SPREADS)
def test_intervals_of_accuracy_hold_the_truth(images: int, spread: float) -> None:
    covered = [coverage(images, spread, truth, 200) for truth in TRUTHS]
    assert 0.92 <= np.mean(covered) <= 0.98
    error = np.sqrt(0.95 * 0.05 / 200)  # of one of the five
    assert min(covered) > 0.92 - 2 * error


def test_interval_is_the_jackknife_of_the_logit() -> None:
    def logit(right: np.ndarray, images: np.ndarray) -> float:
        return float(special.logit((right.sum() + 0.25) / (images.sum() + 0.5)))

    left = np.array([logit(np.delete(RIGHT, i), np.delete(IMAGES_OF, i)) for i in range(5)])
    error = np.sqrt(4 / 5 * ((left - left.mean()) ** 2).sum())
    middle, reach = logit(RIGHT, IMAGES_OF), stats.t.ppf(0.975, 4) * error
    expected = special.expit(middle - reach), special.expit(middle + reach)
    assert identity_interval(RIGHT, IMAGES_OF) == pytest.approx(expected, abs=1e-9)


def test_interval_of_the_mean_is_that_of_students_t() -> None:
    left = (RIGHT.sum() - RIGHT) / 4
    assert jackknife_error(left) == pytest.approx(stats.sem(RIGHT), abs=1e-12)
    expected = stats.ttest_1samp(RIGHT, 0).confidence_interval()
    assert jackknife_interval(RIGHT.mean(), left) == pytest.approx(tuple(expected), abs=1e-9)


def test_of_people_who_are_all_right_the_interval_is_clopper_and_pearsons() -> None:
    low, high = identity_interval(np.full(20, 6), np.full(20, 6))
    expected = stats.binomtest(20, 20).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    wrong = identity_interval(np.zeros(20), np.full(20, 6))
    assert wrong == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_one_person_has_no_interval_and_people_who_are_alike_have_their_accuracy() -> None:
    assert identity_interval([3], [6]) == (None, None)
    low, high = identity_interval([5, 5, 5], [6, 6, 6])
    assert low is not None
    assert high is not None
    assert low <= 5 / 6 <= high


def test_resamples_draw_people_with_all_their_images() -> None:
    who = np.repeat(["a", "b", "c", "d"], [6, 6, 3, 9])
    right = np.arange(24) % 5 < 3
    assert np.array(per_identity(right, who)).sum(axis=1).tolist() == [right.sum(), 24]
    drawn = resampled_accuracies(right, who, 4000, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    by_hand = [
        np.concatenate([right[who == x] for x in rng.choice(["a", "b", "c", "d"], 4)]).mean()
        for _ in range(4000)
    ]
    assert stats.ks_2samp(np.round(drawn, 6), np.round(by_hand, 6)).pvalue > 0.01
    again = resampled_accuracies(right, who, 4000, np.random.default_rng(0))
    assert drawn.tolist() == again.tolist()


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    depicted = rng.choice(["anger", "fear", "happiness"], 90, p=[0.1, 0.2, 0.7])
    responses = rng.choice(["anger", "fear", "happiness"], 90)
    expected = balanced_accuracy_score(depicted, responses)
    assert balanced_accuracy(depicted, responses) == pytest.approx(expected, abs=1e-12)
    always = np.full(90, "happiness")
    assert balanced_accuracy(depicted, always) == pytest.approx(1 / 3)

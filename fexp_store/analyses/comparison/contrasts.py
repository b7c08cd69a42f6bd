"""Two networks in one measure: the difference, its interval, an effect size, and a test.

Every contrast is of a minus b. What is a sample is said of each: networks that are the same but
for noise are told apart in 3 to 7 of 100 cases by each test, but for folds (see docs/analyses.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses import resampling
from fexp_store.analyses.expressions.corrected import (
    Corrected,
    corrected_similarities,
    corrected_similarity,
)
from fexp_store.analyses.statistics import (
    Outcome,
    mean_t,
    sign_flips,
    single_against_group,
    standardised,
)

Values = NDArray[np.float64]
_AT_ONCE = 200
"""Permutations whose tables are held in memory together."""


@dataclass(frozen=True)
class Contrast:
    """One test of two networks, or groups of replicates, in one measure.

    Parameters
    ----------
    test : str
    n_a, n_b : int
        Samples of either in the test.
    mean_a, mean_b : float
    difference, low, high : float or None
        Of a minus b, in the measure's units, with its 95 % interval.
    effect, effect_low, effect_high : float or None
        The difference in standard deviations of what the test samples, with its 95 % interval.
    statistic, p : float or None
    """

    test: str
    n_a: int
    n_b: int
    mean_a: float | None
    mean_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    statistic: float | None
    p: float | None


def of_folds(a: Values, b: Values, test_by_train: float) -> Contrast:
    """Corrected resampled t of folds that both share.

    Parameters
    ----------
    a, b : ndarray of shape (n_folds,)
    test_by_train : float
        Images tested by images trained on, of a fold.
    """
    differences, n = a - b, len(a)
    worth = 1 / (1 / n + test_by_train)  # independent samples
    outcome = mean_t(differences, test_by_train)
    error = float(differences.std(ddof=1)) / np.sqrt(worth) if n > 1 else 0.0
    return _contrast("corrected resampled t", n, a.mean(), b.mean(), error, worth, n, outcome)


def of_continua(a: Values, b: Values, permutations: int, seed: int) -> Contrast:
    """Sign flips of the differences of continua that both share; the interval is Student's t.

    Parameters
    ----------
    a, b : ndarray of shape (n_continua,)
    """
    differences, n = a - b, len(a)
    outcome = sign_flips(differences, permutations, seed)
    error = float(differences.std(ddof=1)) / np.sqrt(n) if n > 1 else 0.0
    return _contrast("sign flips", n, a.mean(), b.mean(), error, n, n, outcome)


def of_identities(a: Values, b: Values, images: Values, permutations: int, seed: int) -> Contrast:
    """Permutation of the networks' labels for each identity, all its images together.

    Parameters
    ----------
    a, b : ndarray of shape (n_people,)
        Images of each identity that were answered rightly; a mean over replicates.
    images : ndarray of shape (n_people,)
    """
    n, all_images, differences = len(a), images.sum(), a - b
    statistic, p = sign_flips(differences, permutations, seed)
    if statistic is not None:
        statistic /= float(all_images)
    error = 0.0
    if n > 1:
        left = (differences.sum() - differences) / (all_images - images)
        error = resampling.jackknife_error(left)
    means = float(a.sum() / all_images), float(b.sum() / all_images)
    return _contrast("label permutation", n, *means, error, n, n, (statistic, p))


def of_similarities(
    a: Sequence[Values],
    b: Sequence[Values],
    human: Values,
    mask: NDArray[np.bool_],
    permutations: int,
    seed: int,
) -> Contrast | None:
    """Difference of two networks' similarity to people, each corrected for few answers.

    Between two networks, p is by permutation of the networks' labels for each identity; the
    statistic is the difference by its jackknife error, so that networks that are as similar to
    people in other ways are not told apart (Chung & Romano 2013). Where a side has replicates,
    whose mean it is, p is Student's t of the same statistic.

    Parameters
    ----------
    a, b : sequence of ndarray of shape (n_people, n_expressions, n_expressions)
        Counts of the answers to each identity of each replicate, of the same identities.
    human : ndarray of shape (n_expressions, n_expressions)
    mask : ndarray of shape (n_expressions, n_expressions), bool

    Returns
    -------
    Contrast or None
        None where `corrected_similarity` is.

    References
    ----------
    Chung & Romano 2013, The Annals of Statistics 41:484-507.
    """
    from scipy import stats

    one, other = ([corrected_similarity(t, human, mask) for t in side] for side in (a, b))
    first, second = (_mean([x for x in side if x is not None]) for side in (one, other))
    if first is None or second is None:
        return None
    people = len(a[0])
    error = resampling.jackknife_error(first.left_out - second.left_out)
    difference = first.value - second.value
    outcome: Outcome = (None, None)
    test = "label permutation"
    if error > 0:
        t = difference / error
        outcome = t, float(2 * stats.t.sf(abs(t), people - 1))
    if len(a) > 1 or len(b) > 1:
        test = "jackknife t"
    elif outcome[0] is not None:
        rng = np.random.default_rng(seed)
        as_far = _as_far(a[0], b[0], human, mask, abs(outcome[0]), permutations, rng)
        outcome = outcome[0], (1 + as_far) / (1 + permutations)
    return _contrast(test, people, first.value, second.value, error, people, people, outcome)


def _as_far(
    a: Values,
    b: Values,
    human: Values,
    mask: NDArray[np.bool_],
    t: float,
    permutations: int,
    rng: np.random.Generator,
) -> int:
    """How many permutations of the networks' labels have a difference of as many errors."""
    found = 0
    for first in range(0, permutations, _AT_ONCE):
        n = min(_AT_ONCE, permutations - first)
        swapped = rng.integers(0, 2, (n, len(a)), dtype=np.int8).astype(bool)[..., None, None]
        x, y = (
            corrected_similarities(np.where(swapped, *sides), human, mask)
            for sides in ((b, a), (a, b))
        )
        left = x[1] - y[1]
        around = ((left - left.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        errors = np.sqrt((len(a) - 1) / len(a) * around)
        # What is nearly all noise in a permutation (NaN) counts as as far, which is the safe side.
        found += int((~(np.abs(x[0] - y[0]) < (t - 1e-9) * errors)).sum())
    return found


def of_replicates(a: Values, b: Values) -> Contrast | None:
    """Crawford and Howell's t of a single network against replicates of another.

    The effect is the difference in standard deviations of the replicates (Crawford, Garthwaite &
    Porter 2010).

    Parameters
    ----------
    a, b : ndarray of shape (n_networks,)
        One number of each network.

    Returns
    -------
    Contrast or None
        None unless one side is a single network.

    References
    ----------
    Crawford, Garthwaite & Porter 2010, Cognitive Neuropsychology 27:245-260.
    """
    if 1 not in (len(a), len(b)):
        return None
    single, group = (a, b) if len(a) == 1 else (b, a)
    sign = 1 if len(a) == 1 else -1
    t, p = single_against_group(float(single[0]), group)
    n = len(group)
    error = float(group.std(ddof=1)) * np.sqrt((n + 1) / n) if n > 1 else 0.0
    # In standard deviations of the group, of which there are n: t / sqrt((n + 1) / n).
    outcome = (None if t is None else sign * t), p
    found = _contrast(
        "replicates t", n, float(a.mean()), float(b.mean()), error, n / (n + 1), n, outcome
    )
    effect = standardised(None if t is None else sign * t * np.sqrt(n + 1), n, n - 1)
    ends = dict(zip(("effect", "effect_low", "effect_high"), effect, strict=True))
    return Contrast(**(vars(found) | ends | {"n_a": len(a), "n_b": len(b)}))


def _mean(found: Sequence[Corrected]) -> Corrected | None:
    if not found:
        return None
    return Corrected(
        float(np.mean([x.value for x in found])), np.mean([x.left_out for x in found], axis=0)
    )


def _contrast(
    test: str,
    n: int,
    mean_a: float,
    mean_b: float,
    error: float,
    worth: float,
    samples: int,
    outcome: Outcome,
) -> Contrast:
    """Put a contrast together from the standard error of a difference, with samples - 1 degrees."""
    from scipy import stats

    difference = float(mean_a - mean_b)
    low = high = t = None
    if samples > 1 and error > 1e-12:
        reach = float(stats.t.ppf((1 + resampling.LEVEL) / 2, samples - 1) * error)
        low, high, t = difference - reach, difference + reach, difference / error
    return Contrast(
        test,
        n,
        n,
        float(mean_a),
        float(mean_b),
        difference,
        low,
        high,
        *standardised(t, worth, samples - 1),
        statistic=outcome[0],
        p=outcome[1],
    )

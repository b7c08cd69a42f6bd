"""Intervals of what people, not images, are the samples of: identities differ, images do not tell.

Images of one person are right or wrong together, so that a person is one draw and the images are
not: an interval over images is too narrow. Nothing here draws random numbers but
`resampled_accuracies`, and nothing depends on the number of cores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
Interval = tuple[float | None, float | None]
"""Both ends of a 95 % interval; None where there is none, as of one sample."""

LEVEL = 0.95
_HALF_AN_IMAGE = 0.5
_NONE: Interval = (None, None)


def per_identity(
    right: NDArray[np.bool_], identities: Sequence[str] | NDArray[np.str_]
) -> tuple[Values, Values]:
    """Count right answers and images of each identity, in the order of their names.

    Parameters
    ----------
    right : ndarray of shape (n_images,), bool
    identities : sequence of n_images str

    Returns
    -------
    right, images : ndarray of shape (n_people,), float64
    """
    _, who = np.unique(np.asarray(identities), return_inverse=True)
    return np.bincount(who, weights=right).astype(float), np.bincount(who).astype(float)


def identity_interval(right: ArrayLike, images: ArrayLike) -> Interval:
    """Find a 95 % interval of an accuracy (or of another proportion) over identities.

    The jackknife over identities on the logit scale, with Student's t of n_people - 1 degrees of
    freedom. Half an image, right by half, is added, so that the logit is finite. Where all are
    right (or wrong) people do not differ; the limit is then Clopper and Pearson's with people as
    trials, .025 ** (1 / n_people) where all are right.

    Parameters
    ----------
    right : array of shape (n_people,)
        Right answers of each identity; may be fractions, as of averaged networks.
    images : array of shape (n_people,)
        Images of each identity, 1 or more.

    Returns
    -------
    low, high : float or None
        Holds the pooled accuracy, sum(right) / sum(images). None of fewer than two people.

    References
    ----------
    Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 3; Clopper &
    Pearson 1934, Biometrika 26:404-413.
    """
    from scipy import special, stats

    k, n = np.asarray(right, float), np.asarray(images, float)
    people = len(n)
    if people < 2:
        return _NONE
    accuracy = k.sum() / n.sum()
    limit = float(((1 - LEVEL) / 2) ** (1 / people))
    if accuracy in (0, 1):
        return (limit, 1.0) if accuracy else (0.0, 1 - limit)
    hits, all_images = k.sum() + _HALF_AN_IMAGE / 2, n.sum() + _HALF_AN_IMAGE
    centre = special.logit(hits / all_images)
    left_out = special.logit((hits - k) / (all_images - n))
    reach = stats.t.ppf((1 + LEVEL) / 2, people - 1) * jackknife_error(left_out)
    low, high = special.expit(centre - reach), special.expit(centre + reach)
    return float(min(low, accuracy)), float(max(high, accuracy))


def jackknife_error(left_out: Values) -> float:
    """Standard error of a statistic from its values with each of n samples left out, (n,).

    References
    ----------
    Tukey 1958, Annals of Mathematical Statistics 29:614: sqrt((n - 1) / n * sum of squares).
    """
    n = len(left_out)
    return float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))


def jackknife_interval(value: float, left_out: Values) -> Interval:
    """Student's t interval of a statistic whose standard error is the jackknife's.

    Parameters
    ----------
    value : float
    left_out : ndarray of shape (n,)
        The statistic with each sample left out.
    """
    from scipy import stats

    n = len(left_out)
    if n < 2:
        return _NONE
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * jackknife_error(left_out)
    return value - reach, value + reach


def resampled_accuracies(
    right: NDArray[np.bool_],
    identities: Sequence[str] | NDArray[np.str_],
    resamples: int,
    rng: np.random.Generator,
) -> Values:
    """Accuracy over identities drawn with replacement, each with all its images.

    For a histogram: the quantiles of these are an interval that is too narrow where people are
    few; take `identity_interval`.

    Parameters
    ----------
    right : ndarray of shape (n_images,), bool
    identities : sequence of n_images str

    Returns
    -------
    ndarray of shape (resamples,)
    """
    hits, images = per_identity(right, identities)
    people = len(images)
    drawn = rng.multinomial(people, np.full(people, 1 / people), resamples)
    return np.asarray((drawn * hits).sum(axis=1) / (drawn * images).sum(axis=1))


def balanced_accuracy(depicted: NDArray[np.str_], responses: NDArray[np.str_]) -> float:
    """Mean over the depicted expressions of the proportion of their images that are right.

    Where some expressions have more images, a classifier that always gives the most frequent
    answer is as accurate as that is frequent, but 1 / number of expressions in this.

    References
    ----------
    Brodersen et al. 2010, ICPR, 3121-3124; scikit-learn's ``balanced_accuracy_score``.
    """
    _, shown = np.unique(depicted, return_inverse=True)
    return float(np.mean(np.bincount(shown, weights=depicted == responses) / np.bincount(shown)))

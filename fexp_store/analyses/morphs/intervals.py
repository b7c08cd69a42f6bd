"""Intervals of a boundary and its slope: studentised, over identities drawn with replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.morphs.curves import LOWER, UPPER, Fit
from fexp_store.analyses.morphs.many import evaluate, least_squares_many

Array = NDArray[np.float64]
Interval = tuple[float, float] | None

_TENTH_TO_NINE_TENTHS = 2 * np.log(9)  # width of a logistic of k = 1 between these
_AT_BOUND = 1e-9


@dataclass(frozen=True)
class Measured:
    """Boundaries and slopes of fitted curves, and how they change with the curves.

    Parameters
    ----------
    values : ndarray of shape (n_curves, 2)
        Boundary and slope; of the logistic, the logarithm of the slope's size. NaN where there is
        none, or the slope cannot be estimated.
    by_curve : ndarray of shape (n_curves, 2, n_levels)
        Their derivatives by the values of the curve.
    """

    values: Array
    by_curve: Array


@dataclass(frozen=True)
class Intervals:
    """95 % intervals of one model's boundary and slope.

    Parameters
    ----------
    boundary, slope : (float, float) or None
        None where they cannot be estimated.
    """

    boundary: Interval = None
    slope: Interval = None


def intervals(
    fitted: Fit, levels: Array, second: Array, resamples: int, rng: np.random.Generator
) -> Intervals:
    """Symmetric studentised bootstrap intervals over identities.

    The estimate plus and minus its standard error times the 95 % quantile of |t| over resamples,
    where t is (resample - estimate) / (standard error of the resample). The standard error is the
    infinitesimal jackknife over identities. A resample without a boundary, or whose slope cannot
    be estimated, has an infinite t: where more than 5 % have, there is no interval. The slope of
    the logistic is taken on a logarithmic scale.

    Where the fitted logistic goes from .1 to .9 of its rise within two neighbouring levels, nothing
    tells where between them, or how steeply: the slope is not estimable, and the interval of the
    boundary holds both levels and 95 % of the resamples.

    Parameters
    ----------
    fitted : Fit
        Of the mean of all identities.
    levels : ndarray of shape (n_levels,)
    second : ndarray of shape (n_levels, n_identities)
        1 where the second expression was answered, else 0.

    References
    ----------
    Hall 1988, Annals of Statistics 16:927-953 (symmetric intervals); Efron 1982, The jackknife,
    the bootstrap and other resampling plans, chapter 6 (infinitesimal jackknife).
    """
    n = second.shape[1]
    drawn = rng.multinomial(n, np.full(n, 1 / n), resamples)
    counts = np.concatenate([np.ones((1, n)), drawn])
    curves = counts @ second.T / n
    refitted = least_squares_many(fitted.model, levels, curves[1:])
    parameters = np.concatenate([np.array(fitted.parameters)[None], refitted])
    measured = measure(fitted.model, levels, parameters)
    low, high = _studentised(measured.values, standard_errors(measured, second, counts, curves))
    estimate = measured.values[0]
    if fitted.model == "logistic":
        with np.errstate(over="ignore"):  # no upper end, which is no interval
            size = np.exp([low[1], high[1]])
        low[1], high[1] = sorted(np.sign(fitted.parameters[1] - fitted.parameters[0]) * size)
        if np.isfinite(estimate[0]) and np.isnan(estimate[1]):
            low[0], high[0] = _within_a_gap(levels, measured.values[:, 0])
    low[0], high[0] = np.clip([low[0], high[0]], 0, 1)
    return Intervals(_interval(low[0], high[0]), _interval(low[1], high[1]))


def _studentised(values: Array, errors: Array) -> tuple[Array, Array]:
    """Ends of the intervals of statistics: row 0 is the estimate, the others are resamples."""
    distance = np.abs(values[1:] - values[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(distance <= _AT_BOUND, 0.0, distance / errors[1:])
        t[np.isnan(t)] = np.inf
        half = errors[0] * np.quantile(t, 0.95, axis=0, method="higher")
        return values[0] - half, values[0] + half


def _within_a_gap(levels: Array, boundaries: Array) -> tuple[float, float]:
    """Both levels about the first of the boundaries, and 95 % of the others."""
    known = boundaries[np.isfinite(boundaries)]
    if len(known) < 0.95 * len(boundaries):
        return np.nan, np.nan
    low, high = np.quantile(known, (0.025, 0.975))
    before, after = _around(levels, boundaries[:1])
    return min(low, before[0]), max(high, after[0])


def _interval(low: float, high: float) -> Interval:
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None


def measure(model: str, levels: Array, parameters: Array) -> Measured:
    """Boundary and slope of curves whose parameters are rows; see `Measured`."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if model == "logistic":
            boundary, slope, by_parameter = _of_logistic(levels, parameters)
        else:
            boundary, slope, by_parameter = _of_polynomial(parameters)
    values = np.stack([boundary, slope], axis=1)
    outside = ~((boundary >= 0) & (boundary <= 1))
    values[outside] = np.nan
    by_curve = np.einsum(
        "cip,cpl->cil", by_parameter, _parameters_by_curve(model, levels, parameters)
    )
    return Measured(values, by_curve)


def standard_errors(measured: Measured, second: Array, counts: Array, curves: Array) -> Array:
    """Infinitesimal jackknife over identities.

    ``sqrt(sum(c[i] f[i]**2) / (n (n - 1)))`` where identity i was drawn c[i] times and f[i] is the
    derivative of the statistic times the difference between i's answers and the mean curve.

    Parameters
    ----------
    second : ndarray of shape (n_levels, n_identities)
    counts : ndarray of shape (n_curves, n_identities)
    curves : ndarray of shape (n_curves, n_levels)

    Returns
    -------
    ndarray of shape (n_curves, 2)
        NaN for a single identity, and where a curve is so flat that it has no derivative.
    """
    n = second.shape[1]
    if n < 2:
        return np.full(measured.values.shape, np.nan)
    known = np.asarray(np.isfinite(measured.by_curve).all(axis=2))
    by_curve = np.where(known[:, :, None], measured.by_curve, 0)
    mean = np.einsum("cil,cl->ci", by_curve, curves)
    influence = by_curve @ second - mean[:, :, None]
    squared = np.einsum("cn,cin->ci", counts, influence**2)
    return np.where(known, np.sqrt(squared / (n * (n - 1))), np.nan)


def _of_logistic(levels: Array, parameters: Array) -> tuple[Array, Array, Array]:
    lower, upper, k, x0 = parameters.T
    below, above, height = 0.5 - lower, upper - 0.5, upper - lower
    logit = np.log(below / above)  # NaN unless one half is between the asymptotes
    boundary = x0 + logit / k
    slope = np.log(np.abs(k * below * above / height))
    before, after = _around(levels, boundary)
    slope[_TENTH_TO_NINE_TENTHS / k < after - before] = np.nan
    one = np.ones_like(k)
    by_boundary = (-1 / below / k, -1 / above / k, -logit / k**2, one)
    by_slope = (1 / height - 1 / below, 1 / above - 1 / height, 1 / k, 0 * one)
    return boundary, slope, np.stack([np.stack(x, axis=1) for x in (by_boundary, by_slope)], axis=1)


def _of_polynomial(parameters: Array) -> tuple[Array, Array, Array]:
    """As `curves.boundary`: of two places where a parabola passes one half, that where it rises."""
    constant, linear = parameters[:, 0] - 0.5, parameters[:, 1]
    if parameters.shape[1] == 2:
        boundary, slope = -constant / linear, linear
        second = np.zeros_like(linear)
    else:
        second = parameters[:, 2]
        root = np.sqrt(linear**2 - 4 * second * constant)
        roots = np.stack([2 * constant / (-linear - sign * root) for sign in (1, -1)])
        inside = (roots >= 0) & (roots <= 1)
        boundary = np.where(inside[0], roots[0], roots[1])
        slope = linear + 2 * second * boundary
    powers = np.stack([boundary**i for i in range(parameters.shape[1])], axis=1)
    by_boundary = -powers / slope[:, None]
    by_slope = np.zeros_like(powers)
    by_slope[:, 1] = 1
    if parameters.shape[1] == 3:
        by_slope[:, 2] = 2 * boundary
    by_slope += 2 * second[:, None] * by_boundary
    return boundary, slope, np.stack([by_boundary, by_slope], axis=1)


def _parameters_by_curve(model: str, levels: Array, parameters: Array) -> Array:
    """Derivatives of least-squares parameters by the curve, (n_curves, n_parameters, n_levels).

    Of Gauss and Newton's approximation, ``(J' J)^-1 J'``; a parameter at its bound stays there.
    """
    slopes = evaluate(model, levels, parameters).by_parameter
    fixed = np.zeros(parameters.shape, bool)
    if model == "logistic":
        low, high = np.array(LOWER), np.array(UPPER)
        fixed = (parameters <= low + _AT_BOUND) | (parameters >= high - _AT_BOUND)
        fixed[:, 0] |= parameters[:, 0] >= 1 - _AT_BOUND
    free = np.where(fixed[:, None, :], 0.0, slopes)
    inner = np.einsum("clp,clq->cpq", free, free)
    size = np.einsum("cpp->cp", inner)
    inner = inner + np.eye(inner.shape[1]) * np.where(size > 0, 1e-10 * size, 1.0)[:, :, None]
    return np.asarray(np.linalg.solve(inner, free.transpose(0, 2, 1)), np.float64)


def _around(levels: Array, places: Array) -> tuple[Array, Array]:
    """The neighbouring levels that places lie between; of one at a level, those beside it."""
    known = np.where(np.isfinite(places), places, levels[0])
    low = np.searchsorted(levels, known - _AT_BOUND) - 1
    high = np.searchsorted(levels, known + _AT_BOUND, side="right")
    return levels[np.maximum(low, 0)], levels[np.minimum(high, len(levels) - 1)]

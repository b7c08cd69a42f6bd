"""Curves of identification along a morph continuum: three models, fitted by least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit

Array = NDArray[np.float64]
MODELS = ("linear", "poly2", "logistic")
PARAMETERS = {"linear": 2, "poly2": 3, "logistic": 4}
"""linear: intercept, slope. poly2: constant, linear, quadratic. logistic: lower, upper, k, x0."""

LOWER = (0.0, 0.0, 0.1, 0.0)
UPPER = (1.0, 1.0, 1000.0, 1.0)
"""Bounds of the logistic: asymptotes are proportions, and x0 lies on the continuum. k = 0.1 is
nearly a line; at k = 1000 a step is complete within a hundredth of the continuum."""

_STEEPNESS = np.geomspace(0.1, 1000, 33)
_CENTRES = np.linspace(0, 1, 101)
_SAME = 1e-12  # a curve whose values differ by less is flat


@dataclass(frozen=True)
class Fit:
    """One model fitted to one curve.

    Parameters
    ----------
    model : {"linear", "poly2", "logistic"}
    parameters : tuple of float
        In the order of `PARAMETERS`; empty where there are fewer levels than parameters.
    r2 : float or None
        1 - SS residual / SS total; None for a flat curve.
    boundary : float or None
        Where the fitted curve passes one half on the continuum, from 0 to 1; None if nowhere.
    slope : float or None
        Of the fitted curve at the boundary.
    """

    model: str
    parameters: tuple[float, ...]
    r2: float | None
    boundary: float | None
    slope: float | None


def curve(model: str, levels: Array, parameters: tuple[float, ...]) -> Array:
    """Values of a model.

    linear: ``a + b x``; poly2: ``a + b x + c x**2``; logistic: ``lower + (upper - lower) /
    (1 + exp(-k (x - x0)))``, whose asymptotes are free since the study's untrained network and
    VGG-16 have curves that start above 0 and end below 1 (its figure 3).

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
    """
    if model == "logistic":
        lower, upper, k, x0 = parameters
        return lower + (upper - lower) * expit(k * (levels - x0))
    return np.asarray(np.polynomial.polynomial.polyval(levels, parameters), np.float64)


def fit(model: str, levels: Array, proportions: Array) -> Fit:
    """Fit a model to an identification curve by least squares.

    Polynomials are solved directly. The logistic starts from the best point of a grid over k and
    x0 and is then fitted by ``scipy.optimize.least_squares`` (as ``curve_fit`` does) within
    `LOWER` and `UPPER`.

    Parameters
    ----------
    levels, proportions : ndarray of shape (n_levels,), float64
    """
    if len(levels) < PARAMETERS[model]:
        return Fit(model, (), None, None, None)
    if model == "logistic":
        start = logistic_grid(levels, proportions[None])[0]
        fitted = _polish(levels, proportions, start)
    else:
        powers = np.vander(levels, PARAMETERS[model], increasing=True)
        fitted = np.asarray(np.linalg.lstsq(powers, proportions, rcond=None)[0], np.float64)
    parameters = tuple(map(float, fitted))
    residual = float(((proportions - curve(model, levels, parameters)) ** 2).sum())
    total = float(((proportions - proportions.mean()) ** 2).sum())
    r2 = 1 - residual / total if total > _SAME else None
    at = boundary(model, parameters) if r2 is not None else None
    return Fit(model, parameters, r2, at, slope(model, parameters, at))


def logistic_grid(levels: Array, curves: Array) -> Array:
    """Fit the logistic on a grid of k and x0 with the best asymptotes at each, all curves at once.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
    curves : ndarray of shape (n_curves, n_levels)

    Returns
    -------
    ndarray of shape (n_curves, 4)
        lower, upper, k, x0 of the least squares over the grid: k within a third, x0 within .005.
    """
    k, x0 = (x.ravel() for x in np.meshgrid(_STEEPNESS, _CENTRES, indexing="ij"))
    rising = expit(k[:, None] * (levels - x0[:, None]))
    falling = 1 - rising
    rr, rf, ff = (rising**2).sum(1), (rising * falling).sum(1), (falling**2).sum(1)
    best = np.empty((len(curves), 4))
    for i, values in enumerate(curves):
        ry, fy = rising @ values, falling @ values
        determinant = np.maximum(rr * ff - rf**2, _SAME)
        lower = np.clip((rr * fy - rf * ry) / determinant, 0, 1)
        upper = np.clip((ry - lower * rf) / np.maximum(rr, _SAME), 0, 1)
        lower = np.clip((fy - upper * rf) / np.maximum(ff, _SAME), 0, 1)
        cost = lower**2 * ff + upper**2 * rr + 2 * (lower * upper * rf - lower * fy - upper * ry)
        # A step has many equally good points: of the gentlest of them, the one in the middle.
        equal = np.flatnonzero(cost <= cost.min() + _SAME)
        equal = equal[k[equal] == k[equal[0]]]
        j, other = equal[(len(equal) - 1) // 2], equal[len(equal) // 2]
        best[i] = lower[j], upper[j], k[j], (x0[j] + x0[other]) / 2
    return best


def boundary(model: str, parameters: tuple[float, ...]) -> float | None:
    """Level between 0 and 1 at which a fitted curve passes one half; None if there is none.

    A parabola that passes it twice gives the rising branch.
    """
    if model == "logistic":
        lower, upper, k, x0 = parameters
        if not min(lower, upper) < 0.5 < max(lower, upper):
            return None
        roots = [x0 + float(np.log((0.5 - lower) / (upper - 0.5))) / k]
    else:
        constant, linear, *quadratic = parameters
        roots = _roots(sum(quadratic), linear, constant - 0.5)
        roots.sort(key=lambda root: slope(model, parameters, root) or 0, reverse=True)
    return next((root for root in roots if 0 <= root <= 1), None)


def slope(model: str, parameters: tuple[float, ...], level: float | None) -> float | None:
    """Slope of a fitted curve at a level; None without one."""
    if level is None:
        return None
    if model == "logistic":
        lower, upper, k, x0 = parameters
        rising = float(expit(k * (level - x0)))
        return (upper - lower) * k * rising * (1 - rising)
    _, linear, *quadratic = parameters
    return linear + 2 * level * sum(quadratic)


def _roots(a: float, b: float, c: float) -> list[float]:
    """Real roots of ``a x**2 + b x + c``, exact for a near 0."""
    discriminant = b * b - 4 * a * c
    if discriminant < 0:
        return []
    q = -(b + np.copysign(np.sqrt(discriminant), b)) / 2
    pairs = ((q, a), (c, q))
    return [float(over / under) for over, under in pairs if abs(under) > _SAME]


def _polish(levels: Array, proportions: Array, start: Array) -> Array:
    def residuals(parameters: Array) -> Array:
        return curve("logistic", levels, tuple(parameters)) - proportions

    def derivatives(parameters: Array) -> Array:
        lower, upper, k, x0 = parameters
        rising = expit(k * (levels - x0))
        steep = (upper - lower) * rising * (1 - rising)
        return np.stack([1 - rising, rising, steep * (levels - x0), -steep * k], axis=1)

    inside = np.clip(start, np.array(LOWER) + 1e-9, np.array(UPPER) - 1e-9)
    found = least_squares(
        residuals, inside, derivatives, bounds=(LOWER, UPPER), x_scale=(1, 1, 10, 0.1)
    )
    return np.asarray(found.x)

"""Many identification curves fitted at once: by least squares, or by binomial likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

from fexp_store.analyses.morphs.curves import LOWER, PARAMETERS, UPPER

Array = NDArray[np.float64]

CLIP = 1e-3
"""No model says an answer to be less likely than this, and a held-out answer costs at most 6.9."""

_STEEPNESS = np.geomspace(0.5, 200, 9)
_CENTRES = np.linspace(0, 1, 21)
_VALUES = {2: (-2.5, 3.5, 49), 3: (-1.5, 2.5, 25)}  # from, to, how many, by parameters
_STARTS = 10
_ITERATIONS = 60
_SMALL = 1e-10


@dataclass(frozen=True)
class Slopes:
    """Values of a model's curves and how they change with its parameters.

    Parameters
    ----------
    values : ndarray of shape (n_curves, n_levels)
    by_parameter : ndarray of shape (n_curves, n_levels, n_parameters)
    """

    values: Array
    by_parameter: Array


def evaluate(model: str, levels: Array, parameters: Array) -> Slopes:
    """Values and derivatives of curves whose parameters are rows, (n_curves, n_parameters)."""
    if model != "logistic":
        powers = np.vander(levels, PARAMETERS[model], increasing=True)
        return Slopes(
            parameters @ powers.T, np.broadcast_to(powers, (len(parameters), *powers.shape))
        )
    lower, upper, k, x0 = (parameters[:, i, None] for i in range(4))
    rising = expit(k * (levels - x0))
    steep = (upper - lower) * rising * (1 - rising)
    each = (1 - rising, rising, steep * (levels - x0), -steep * k)
    return Slopes(lower + (upper - lower) * rising, np.stack(each, axis=2))


def least_squares_many(model: str, levels: Array, curves: Array) -> Array:
    """Fit a model to each curve by least squares, within the bounds of `curves.fit`.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
    curves : ndarray of shape (n_curves, n_levels)

    Returns
    -------
    ndarray of shape (n_curves, n_parameters)
    """
    if model == "logistic":
        return _descend(model, levels, curves, _start(levels, curves), likely=False)
    powers = np.vander(levels, PARAMETERS[model], increasing=True)
    return np.asarray(np.linalg.lstsq(powers, curves.T, rcond=None)[0].T, np.float64)


def most_likely_many(model: str, levels: Array, curves: Array) -> Array:
    """Fit a model to each curve by binomial likelihood; what is beyond `CLIP` is clipped there.

    Fisher's scoring, damped as Levenberg and Marquardt do, from several starts: the least
    squares, and the most likely of a grid.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
    curves : ndarray of shape (n_curves, n_levels)
        Proportions, each of the same number of answers.

    Returns
    -------
    ndarray of shape (n_curves, n_parameters)
    """
    squares = least_squares_many(model, levels, curves)
    starts = [squares]
    if model == "logistic":
        starts.append(_start(levels, curves))
    else:
        starts.extend(_likely_starts(levels, curves, PARAMETERS[model]))
    # All starts of all curves go down together.
    tiled = np.tile(curves, (len(starts), 1))
    found = _descend(model, levels, tiled, np.concatenate(starts), likely=True)
    likely = log_likelihoods(model, levels, tiled, found).reshape(len(starts), -1)
    by_start = found.reshape(len(starts), len(curves), -1)
    return by_start[likely.argmax(axis=0), np.arange(len(curves))]


def log_likelihoods(model: str, levels: Array, curves: Array, parameters: Array) -> Array:
    """Binomial log likelihood of each curve for one answer at each level, (n_curves,)."""
    p = np.clip(evaluate(model, levels, parameters).values, CLIP, 1 - CLIP)
    return np.asarray((xlogy(curves, p) + xlogy(1 - curves, 1 - p)).sum(axis=1), np.float64)


def _start(levels: Array, curves: Array) -> Array:
    """The best of a coarse grid of k and x0, each with its best asymptotes."""
    k, x0 = (x.ravel() for x in np.meshgrid(_STEEPNESS, _CENTRES, indexing="ij"))
    rising = expit(k[:, None] * (levels - x0[:, None]))
    falling = 1 - rising
    rr, rf, ff = (rising**2).sum(1), (rising * falling).sum(1), (falling**2).sum(1)
    ry, fy = curves @ rising.T, curves @ falling.T
    lower = np.clip((rr * fy - rf * ry) / np.maximum(rr * ff - rf**2, 1e-12), 0, 1)
    upper = np.clip((ry - lower * rf) / np.maximum(rr, 1e-12), 0, 1)
    lower = np.clip((fy - upper * rf) / np.maximum(ff, 1e-12), 0, 1)
    cost = lower**2 * ff + upper**2 * rr + 2 * (lower * upper * rf - lower * fy - upper * ry)
    j = cost.argmin(axis=1)
    at = np.arange(len(curves))
    return np.stack([lower[at, j], upper[at, j], k[j], x0[j]], axis=1)


def _likely_starts(levels: Array, curves: Array, n_parameters: int) -> list[Array]:
    """The most likely polynomials, clipped, of a grid of their values at two or three places."""
    places = np.linspace(levels[0], levels[-1], n_parameters)
    values = np.linspace(*_VALUES[n_parameters])
    grid = np.stack(np.meshgrid(*[values] * n_parameters, indexing="ij"), axis=-1)
    at_places = np.vander(places, n_parameters, increasing=True)
    parameters = grid.reshape(-1, n_parameters) @ np.linalg.inv(at_places).T
    p = parameters @ np.vander(levels, n_parameters, increasing=True).T
    np.clip(p, CLIP, 1 - CLIP, out=p)
    cost = -(curves @ np.log(p).T + (1 - curves) @ np.log1p(-p).T)
    return [parameters[j] for j in np.argpartition(cost, _STARTS, axis=1)[:, :_STARTS].T]


def _descend(model: str, levels: Array, curves: Array, start: Array, *, likely: bool) -> Array:
    low, high = (-np.inf, np.inf) if model != "logistic" else (np.array(LOWER), np.array(UPPER))
    floor = CLIP if likely else -np.inf
    theta = np.clip(start, low, high)
    damping = np.full(len(curves), 1e-3)
    shape = evaluate(model, levels, theta)
    cost = _cost(shape.values, curves, likely=likely)
    moving = np.ones(len(curves), bool)
    for _ in range(_ITERATIONS):
        i = np.flatnonzero(moving)
        if not len(i):
            break
        here = evaluate(model, levels, theta[i])
        inside = (here.values > floor) & (here.values < 1 - floor)
        p = np.clip(here.values, floor, 1 - floor)
        weight = inside / (p * (1 - p)) if likely else np.ones_like(p)
        weighted = here.by_parameter * weight[:, :, None]
        gradient = np.einsum("clp,cl->cp", weighted, curves[i] - p)
        fisher = np.einsum("clp,clq->cpq", weighted, here.by_parameter)
        # A parameter at its bound that would leave it stands still.
        stuck = ((theta[i] <= low) & (gradient < 0)) | ((theta[i] >= high) & (gradient > 0))
        gradient[stuck] = 0
        fisher[stuck[:, :, None] | stuck[:, None, :]] = 0
        diagonal = np.einsum("cpp->cp", fisher)
        scale = diagonal * damping[i, None] + np.where(diagonal > 0, 1e-12, 1.0)
        step = np.linalg.solve(
            fisher + scale[:, :, None] * np.eye(theta.shape[1]), gradient[..., None]
        )
        tried = np.clip(theta[i] + step[..., 0], low, high)
        there = _cost(evaluate(model, levels, tried).values, curves[i], likely=likely)
        better = there < cost[i]
        done = better & (cost[i] - there <= _SMALL * (np.abs(there) + _SMALL))
        theta[i[better]] = tried[better]
        cost[i[better]] = there[better]
        damping[i] = np.where(better, damping[i] / 10, damping[i] * 10)
        moving[i] = ~done & (damping[i] < 1e8)
    return theta


def _cost(values: Array, curves: Array, *, likely: bool) -> Array:
    if not likely:
        return np.asarray(((curves - values) ** 2).sum(axis=1), np.float64)
    p = np.clip(values, CLIP, 1 - CLIP)
    return np.asarray(-(xlogy(curves, p) + xlogy(1 - curves, 1 - p)).sum(axis=1), np.float64)

"""How likely a model makes the answers: its maximum, AIC, BIC, and that of people left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.morphs.curves import PARAMETERS
from fexp_store.analyses.morphs.many import log_likelihoods, most_likely_many

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Likelihood:
    """Binomial likelihood of one model of one continuum.

    Parameters
    ----------
    log_likelihood : float
        Greatest log likelihood of all answers, natural logarithm.
    aic : float
        ``2 k - 2 log_likelihood`` of k parameters (Akaike 1974).
    bic : float
        ``k log(n) - 2 log_likelihood`` of n answers: levels times identities (Schwarz 1978).
    left_out : float or None
        Log likelihood per answer of each identity under the model fitted to all others, mean over
        identities; None for a single identity.
    """

    log_likelihood: float
    aic: float
    bic: float
    left_out: float | None


def likelihood(model: str, levels: Array, second: Array) -> Likelihood | None:
    """Fit a model by maximum likelihood to all answers, and to those of all identities but one.

    Parameters
    ----------
    model : {"linear", "poly2", "logistic"}
    levels : ndarray of shape (n_levels,)
    second : ndarray of shape (n_levels, n_identities)
        1 where the second expression was answered, else 0.

    Returns
    -------
    Likelihood or None
        None where there are fewer levels than parameters.
    """
    n = second.shape[1]
    if len(levels) < PARAMETERS[model]:
        return None
    curves = second.mean(axis=1)[None]
    if n > 1:
        others = (second.sum(axis=1, keepdims=True) - second) / (n - 1)
        curves = np.concatenate([curves, others.T])
    fitted = most_likely_many(model, levels, curves)
    greatest = n * float(log_likelihoods(model, levels, curves[:1], fitted[:1])[0])
    left_out = None
    if n > 1:
        each = log_likelihoods(model, levels, second.T, fitted[1:])
        left_out = float(each.mean() / len(levels))
    k = PARAMETERS[model]
    return Likelihood(
        greatest, 2 * k - 2 * greatest, k * np.log(second.size) - 2 * greatest, left_out
    )

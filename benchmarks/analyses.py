"""Analyses on noise and at full size (minutes).

Prints how many of 100 seeds of noise are decoded within the 95 % interval of shuffled labels, the
Kolmogorov-Smirnov p of the similarity's p over 200 seeds of noise, and the time that decoding
624 images from 1,300 units takes (10 folds, 100 shuffles).
"""

from __future__ import annotations

import time

import numpy as np
from scipy import stats

from fexp_store.analyses.expressions.classifier import Classifier
from fexp_store.analyses.expressions.cross_validation import Classified, cross_validate
from fexp_store.analyses.expressions.similarity import confusion_counts, similarities_of
from fexp_store.expressions import BASIC


def decoded_noise(people: int, units: int, seed: int, shuffles: int, folds: int) -> Classified:
    """Cross-validate responses that hold nothing."""
    values = np.random.default_rng(seed).normal(size=(people * 6, units))
    labels = np.tile(np.array(BASIC), people)
    identities = np.repeat([f"p{i:03}" for i in range(people)], 6)
    return cross_validate(
        values,
        labels,
        identities,
        classifier=Classifier(),
        folds=folds,
        seed=seed,
        shuffles=shuffles,
    )


def within_chance(seed: int) -> bool:
    """Whether the accuracy on noise lies within the 95 % interval of shuffled labels."""
    accuracy, *control = decoded_noise(12, 60, seed, 200, 6).accuracies().mean(axis=1)
    low, high = np.quantile(control, (0.025, 0.975))
    return bool(low <= accuracy <= high)


def similarity_p(seed: int, cells: str) -> float:
    """The p of the Pearson correlation of noise's confusions with a table of fixed numbers."""
    found = decoded_noise(30, 60, seed, 0, 6)
    counts = confusion_counts(found.labels[0].tolist(), found.answers[0].tolist(), list(BASIC))
    human = np.random.default_rng(7).uniform(size=(6, 6)) + np.eye(6)
    table = counts["count"].to_numpy().reshape(6, 6).astype(float)
    (p,) = (
        s.p
        for s in similarities_of(table, human)
        if (s.cells, s.statistic) == (cells, "pearson") and s.p is not None
    )
    return p


def run() -> None:
    """Print the three figures."""
    inside = sum(within_chance(seed) for seed in range(100))
    print(f"noise decoded within chance's 95 % interval: {inside} of 100 seeds", flush=True)
    for cells in ("all", "errors"):
        p = stats.kstest([similarity_p(seed, cells) for seed in range(200)], "uniform").pvalue
        print(f"similarity's p on noise, {cells} cells: KS p {p:.3f} over 200 seeds", flush=True)
    start = time.perf_counter()
    decoded_noise(104, 1300, 0, 100, 10)
    seconds = time.perf_counter() - start
    print(f"624 x 1,300, 10 folds, 100 shuffles: {seconds:.1f} s", flush=True)

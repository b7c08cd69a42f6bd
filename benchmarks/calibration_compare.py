"""Coverage of intervals, and how often the tests of `compare` tell networks apart (minutes).

Prints the lowest and highest coverage of intervals of accuracy over 2,000 tables of 20 people for
each of 45 cases; how many of equal networks (one code, rotated, each with noise of its own) each
test rejects at 5 %; how many of 100 pairs with r of .9 and .6 with people are told apart; and the
coverage of the interval of r.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from benchmarks.setting import print_table
from fexp_store.analyses.comparison.contrasts import (
    of_folds,
    of_identities,
    of_replicates,
    of_similarities,
)
from fexp_store.analyses.expressions.classifier import Classifier, Labels, Values, similarities
from fexp_store.analyses.expressions.corrected import corrected_similarity, identity_tables
from fexp_store.analyses.expressions.cross_validation import cross_validate
from fexp_store.analyses.expressions.similarity import cells_of
from fexp_store.analyses.expressions.spaces import products_of
from fexp_store.analyses.resampling import identity_interval
from fexp_store.expressions import BASIC

Table = NDArray[np.float64]
LABELS = np.array(BASIC)
HUMAN = np.array(
    [
        [0.72, 0.14, 0.04, 0.01, 0.07, 0.02],
        [0.22, 0.66, 0.03, 0.01, 0.07, 0.01],
        [0.04, 0.05, 0.55, 0.02, 0.06, 0.28],
        [0.01, 0.01, 0.01, 0.95, 0.01, 0.01],
        [0.06, 0.11, 0.08, 0.02, 0.72, 0.01],
        [0.01, 0.01, 0.12, 0.03, 0.01, 0.82],
    ]
)
"""A table of people such as are published; which one plays no part."""
IMAGES, SPREADS, TRUTHS = (6, 18, 60), (0, 1, 2), (0.3, 0.5, 0.7, 0.8, 0.9)


def coverage(images: int, spread: int, truth: float, tables: int, people: int = 20) -> float:
    """How often the interval of an accuracy holds the truth; people differ on the logit scale."""
    points, weights = np.polynomial.hermite_e.hermegauss(101)
    weights = weights / weights.sum()
    mean = optimize.brentq(lambda m: weights @ special.expit(m + spread * points) - truth, -20, 20)
    rng = np.random.default_rng([images, spread, round(100 * truth)])
    own = special.expit(mean + spread * rng.standard_normal((tables, people)))
    held = 0
    for right in rng.binomial(images, own):
        low, high = identity_interval(right, np.full(people, images))
        held += low is not None and high is not None and low <= truth <= high
    return held / tables


def similar_table(r: float, mask: NDArray[np.bool_], seed: int) -> Table:
    """Make answers that correlate by r with people's over some cells."""
    rng = np.random.default_rng(seed)
    errors = ~np.eye(6, dtype=bool)
    while True:
        other = rng.dirichlet(np.full(6, 0.5), 6)
        if not mask[0, 0]:  # people's hits, other errors
            other = other * errors
            other *= (1 - np.diag(HUMAN) / HUMAN.sum(axis=1))[:, None] / other.sum(1, keepdims=True)
            other += np.diag(np.diag(HUMAN) / HUMAN.sum(axis=1))

        def excess(w: float, other: Table = other) -> float:
            mixed = (1 - w) * HUMAN + w * other
            return float(np.corrcoef(mixed[mask], HUMAN[mask])[0, 1]) - r

        if excess(1) < 0:
            w = optimize.brentq(excess, 0, 1)
            return np.asarray((1 - w) * HUMAN + w * other)


def draw(table: Table, people: int, images: int, rng: np.random.Generator) -> Table:
    """Draw answers to some images of each expression of each person: (people, 6, 6) counts."""
    return rng.multinomial(images, table / table.sum(axis=1, keepdims=True), (people, 6)).astype(
        float
    )


def told_apart(
    r: tuple[float, float],
    seeds: tuple[int, int],
    cells: str,
    people: int,
    images: int,
    pairs: int,
) -> int:
    """How many of some pairs of networks, as similar to people as r says, differ at 5 %."""
    mask = cells_of(6)[cells]
    one, other = (similar_table(x, mask, s) for x, s in zip(r, seeds, strict=True))
    rng = np.random.default_rng([people, images])
    found = (
        of_similarities(
            [draw(one, people, images, rng)],
            [draw(other, people, images, rng)],
            HUMAN,
            mask,
            199,
            0,
        )
        for _ in range(pairs)
    )
    return sum(x is not None and x.p is not None and x.p <= 0.05 for x in found)


def held_r(r: float, cells: str, people: int, images: int, tables: int) -> float:
    """How often the interval of a corrected correlation holds the true one."""
    mask = cells_of(6)[cells]
    table, rng = similar_table(r, mask, 1), np.random.default_rng([people, images])
    held = 0
    for _ in range(tables):
        found = corrected_similarity(draw(table, people, images, rng), HUMAN, mask)
        low, high = found.interval if found is not None else (None, None)
        held += low is not None and high is not None and low <= r <= high
    return held / tables


def equal_networks(
    seed: int, networks: int, people: int = 20, units: int = 20
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Make networks of one code of expression, identity and image, rotated, with own noise.

    Yields
    ------
    train, test : ndarray of shape (people * 6, units)
        Responses to two sets of as many people.
    """
    rng = np.random.default_rng(seed)
    size = 12
    pattern = rng.normal(size=(6, size))
    codes = [
        (
            pattern + rng.normal(size=(people, 1, size)) + 1.1 * rng.normal(size=(people, 6, size))
        ).reshape(-1, size)
        for _ in range(2)
    ]
    for _ in range(networks):
        rotation = np.linalg.qr(rng.normal(size=(units, size)))[0].T
        train, test = (
            (code @ rotation + rng.normal(size=(len(code), units))).astype(np.float32)
            for code in codes
        )
        yield train, test


def p_of_equal(seed: int, people: int = 20, folds: int = 5) -> dict[str, float]:
    """P of each test of two equal networks."""
    labels = np.tile(LABELS, people)
    who = np.repeat([f"p{i:03}" for i in range(people)], 6)
    settings, expressions = Classifier(components=20), list(BASIC)
    validated, tables = [], []
    for train, test in equal_networks(seed, 2, people):
        validated.append(
            cross_validate(train, labels, who, classifier=settings, folds=folds, seed=0)
        )
        answered = classified(train, test, labels, settings)
        tables.append(
            identity_tables(labels.tolist(), answered.tolist(), who.tolist(), expressions)
        )
    one, other = (x.accuracies()[0] for x in validated)
    right = [(x.answers[0] == labels).reshape(people, 6).sum(axis=1) * 1.0 for x in validated]
    hits = [t.trace(axis1=1, axis2=2) for t in tables]
    images = np.full(people, 6.0)
    found = {
        "folds, corrected resampled t": of_folds(one, other, 1 / (folds - 1)),
        "decoding, label permutation": of_identities(right[0], right[1], images, 999, seed),
        "accuracy on a set, label permutation": of_identities(hits[0], hits[1], images, 999, seed),
    } | {
        f"similarity, {cells} cells, label permutation": of_similarities(
            [tables[0]], [tables[1]], HUMAN, mask, 199, seed
        )
        for cells, mask in cells_of(6).items()
    }
    return {
        test: 1.0 if contrast is None or contrast.p is None else contrast.p
        for test, contrast in found.items()
    }


def classified(train: Values, test: Values, labels: Labels, settings: Classifier) -> Labels:
    """Answer to test images by a classifier that was taught the training images."""
    rows = np.arange(len(train) + len(test))
    taught, asked = np.split(rows, [len(train)])
    products = products_of(np.concatenate([train, test]))
    return similarities(products, taught, asked, settings).classify(labels)


def p_of_replicates(seed: int, people: int = 20) -> float:
    """P of one of four equal networks against the three others, in accuracy on a set."""
    labels, settings = np.tile(LABELS, people), Classifier(components=20)
    accuracies = np.array(
        [
            np.mean(classified(train, test, labels, settings) == labels)
            for train, test in equal_networks(seed, 4, people)
        ]
    )
    found = of_replicates(accuracies[:1], accuracies[1:])
    return 1.0 if found is None or found.p is None else found.p


def rejections(simulations: int) -> dict[str, float]:
    """Proportion of equal networks that each test rejects at 5 %."""
    found = [p_of_equal(seed) for seed in range(simulations)]
    rates = {test: float(np.mean([p[test] <= 0.05 for p in found])) for test in found[0]}
    alone = [p_of_replicates(10_000 + seed) <= 0.05 for seed in range(simulations)]
    return rates | {"replicates t": float(np.mean(alone))}


def run(tables: int = 2000, simulations: int = 1000, pairs: int = 100) -> None:
    """Print the figures."""
    rows = [
        (
            f"coverage of accuracy, {images} images, SD {spread}",
            f"{min(found):.3f}–{max(found):.3f}",
        )
        for images, spread in product(IMAGES, SPREADS)
        for found in [[coverage(images, spread, truth, tables) for truth in TRUTHS]]
    ]
    rows += [
        (f"coverage of r = {r}, {cells} cells, {images} images a cell", f"{held:.3f}")
        for r, cells, images in product((0.9, 0.6, 0.3), ("all", "errors"), (1, 4))
        for held in [held_r(r, cells, 20, images, tables // 4)]
    ]
    for cells, (people, images) in product(("all", "errors"), ((20, 1), (40, 1), (20, 4), (40, 4))):
        where = f"{people} people, {6 * images} images each, {cells} cells"
        power = told_apart((0.9, 0.6), (1, 2), cells, people, images, pairs)
        rows.append((f"r of .9 and .6 told apart, {where}", f"{power} of {pairs}"))
        equal = told_apart((0.9, 0.9), (1, 2), cells, people, images, pairs)
        rows.append((f"r of .9 and .9 (other errors) told apart, {where}", f"{equal} of {pairs}"))
    print_table(("figure", "value"), rows)
    print_table(
        (f"equal networks, {simulations} pairs", "rejected"),
        [(test, f"{rate:.3f}") for test, rate in rejections(simulations).items()],
    )

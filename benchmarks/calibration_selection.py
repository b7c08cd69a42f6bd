"""The selection of units on simulated people, whose truth is known (two minutes).

Prints how often the count on noise lies within the 95 % interval of shuffled labels, how many
planted units are found, how counts change with the number of people under each rule for the
absence of an identity effect, and how far halves of the people agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import polars as pl

from benchmarks.setting import print_table
from fexp_store.analyses.selectivity.anova import Design, sums_of_squares, with_tests
from fexp_store.analyses.selectivity.criterion import Criterion, f_limits, selective_units
from fexp_store.analyses.selectivity.null import null_counts
from fexp_store.analyses.selectivity.reliability import jaccard_by_chance
from fexp_store.analyses.selectivity.select import chance_of
from fexp_store.analyses.selectivity.subsets import selected_in

EXPRESSIONS = 6
Absence = Literal["p", "size", "equivalence"]
ABSENCES: tuple[Absence, ...] = ("p", "size", "equivalence")
PEOPLE = (6, 12, 18, 24, 48, 96)
UNITS = 2000


def simulated(
    people: int, seed: int, *, expression: float = 0, identity: float = 0, shared: float = 0
) -> np.ndarray:
    """Responses of 2,000 units, of shape (n_stimuli, n_units), float32.

    Parameters
    ----------
    expression : float
        Cohen's f squared of expression of the first tenth of the units.
    identity : float
        The largest f squared of identity: those of the units are between 0 and this.
    shared : float
        Share of the noise's variance that units have in common, as neighbours have.
    """
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(people * EXPRESSIONS, 20))
    weights = rng.normal(size=(20, UNITS)) / np.sqrt(20)
    noise = rng.normal(size=(people * EXPRESSIONS, UNITS)) * np.sqrt(1 - shared)
    x = (noise + np.sqrt(shared) * sources @ weights).reshape(people, EXPRESSIONS, UNITS)
    pattern = rng.normal(size=(EXPRESSIONS, UNITS // 10))
    pattern -= pattern.mean(axis=0)
    x[:, :, : UNITS // 10] += np.sqrt(expression) * pattern / pattern.std(axis=0)
    levels = np.sqrt(rng.permutation(np.linspace(0, identity, UNITS)))
    x += levels * rng.normal(size=(people, 1, UNITS))
    return x.reshape(-1, UNITS).astype(np.float32)


def design_of(people: int) -> Design:
    """Return the design of simulated people."""
    return Design(np.arange(people * EXPRESSIONS).reshape(people, EXPRESSIONS))


def selected(values: np.ndarray, rule: Criterion) -> np.ndarray:
    """Tell which units are selective for expression."""
    design = design_of(len(values) // EXPRESSIONS)
    table = with_tests(pl.DataFrame(sums_of_squares(values, design)), design)
    return selective_units(table, rule, design.df, "expression", rule.alpha).to_numpy()


def within_chance(people: int, seed: int, rule: Criterion, permutations: int) -> bool:
    """Whether the count on noise, without any effect, lies within the permutations' interval."""
    values = simulated(people, seed, shared=0.5)
    design = design_of(people)
    limits = f_limits(rule, design.df, "expression", rule.alpha)
    counts = null_counts([values], design, "expression", limits, permutations, seed)
    count = int(selected(values, rule).sum())
    chance = chance_of(counts, count)
    low, high = chance["chance_low"], chance["chance_high"]
    return low is not None and high is not None and low <= count <= high


def planted_found(seeds: Iterable[int], people: int, rule: Criterion) -> tuple[float, float]:
    """Return the share selected of planted units, of a large effect, and of the others."""
    found = np.mean([selected(simulated(people, s, expression=0.4), rule) for s in seeds], axis=0)
    return float(found[: UNITS // 10].mean()), float(found[UNITS // 10 :].mean())


def counts_by_people(
    seeds: Iterable[int], absence: Absence, identity: float, people: Iterable[int] = PEOPLE
) -> list[float]:
    """Return the mean count of planted units for each number of people.

    All respond to expression, so strongly that six people tell; their identity effects are between
    0 and `identity`, in f squared.
    """
    rule = Criterion(alpha=0.01, absence=absence)
    found = {
        n: [
            selected(simulated(n, s, expression=4, identity=identity)[:, : UNITS // 10], rule)
            for s in seeds
        ]
        for n in people
    }
    return [float(np.mean([one.sum() for one in counts])) for counts in found.values()]


def halves(seeds: Iterable[int], people: int, expression: float) -> tuple[float, float, float]:
    """Return Jaccard's index of halves, by chance of their sizes, and with shuffled labels."""
    rows = []
    for seed in seeds:
        values = simulated(people, seed, expression=expression)
        first = np.random.default_rng(seed).permutation(people) < people // 2
        parts = selected_in(
            [values], design_of(people), np.stack([first, ~first], axis=1), Criterion(), seed
        )
        _, found, shuffled = next(parts)
        a, b = found.sum(axis=0).tolist()
        one, other = (
            pair.all(axis=1).sum() / max(pair.any(axis=1).sum(), 1) for pair in (found, shuffled)
        )
        rows.append((one, jaccard_by_chance(UNITS, a, b) or 0, other))
    index, by_chance, at_random = np.mean(rows, axis=0).tolist()
    return index, by_chance, at_random


def run() -> None:
    """Print all of it."""
    rows: list[Sequence[str]] = []
    for absence in ABSENCES:
        # 24 people cannot show that an effect is smaller than a medium one.
        bound = 0.3 if absence == "equivalence" else 0.0625
        rule = Criterion(alpha=0.05, absence=absence, bound=bound)
        inside = sum(within_chance(24, seed, rule, 200) for seed in range(100))
        hits, alarms = planted_found(range(20), 24, rule)
        said = absence if absence == "p" else f"{absence}, bound {bound}"
        rows.append((said, f"{inside} of 100", f"{100 * hits:.1f} %", f"{100 * alarms:.2f} %"))
    print_table(("absence by", "noise within the interval", "planted units found", "others"), rows)
    print()
    rows = []
    for identity in (0, 0.04):
        for absence in ABSENCES:
            counts = counts_by_people(range(20), absence, identity)
            rows.append((f"0 to {identity}", absence, *(f"{count:.1f}" for count in counts)))
    print_table(("identity's f²", "absence by", *(f"{n} people" for n in PEOPLE)), rows)
    print()
    rows = [
        (f"{effect}", *(f"{index:.3f}" for index in halves(range(20), 24, effect)))
        for effect in (0, 0.1, 0.4)
    ]
    print_table(("expression's f²", "Jaccard", "by chance", "shuffled"), rows)

"""Is categorical perception told from linear codes, and do intervals cover? (minutes)

Whole runs: activations of linear and of step codes come in by `Warehouse.put`, and `categorize` is
run on them. Linear codes lie on the straight line between the end points of each person, with and
without noise; step codes pass from one end to the other at each person's own level, with noise.
Tables: 0 or 1 for each person and level, from logistic curves that are shifted between people by
normal logits; how many intervals hold the boundary and the slope of the logistic that is fitted to
the population's curve.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store import Warehouse
from fexp_store.analyses.morphs.categorize import Categorical, Options, categorize
from fexp_store.analyses.morphs.curves import fit
from fexp_store.analyses.morphs.intervals import intervals
from fexp_store.stimuli.sets import register
from fexp_store.warehouse.place import Place

Array = NDArray[np.float64]
ENDS = ("anger", "fear")
UNITS = 60
AT = 0.6
"""Where step codes pass from one end to the other, mean over people."""


@dataclass(frozen=True)
class Codes:
    """What simulated responses to morphs are like.

    Parameters
    ----------
    steep : float
        Of the logistic of level that is the share of the second end; 0 for linear codes.
    noise : float
        SD of each unit's noise, of images of one person; patterns differ by 1 in each unit.
    people, levels : int
    spread : float
        SD between people of where step codes pass.
    """

    steep: float
    noise: float
    people: int
    levels: int = 11
    spread: float = 0.03


PEOPLE = (8, 12, 24)
LINEAR = (0, 0.03, 0.3, 1)
STEPS = (0.1, 0.3, 0.6)
"""SD of the noise of linear and of step codes, which simulations take in turn."""


def responses(codes: Codes, seed: int) -> tuple[Array, Array]:
    """Responses to the prototypes, (2 people, units), and to the morphs, (people levels, units)."""
    rng = np.random.default_rng(seed)
    level = np.linspace(0, 1, codes.levels)
    common = np.stack([np.arange(UNITS) % 2 == i for i in (0, 1)]).astype(float)
    # People differ in how strongly they show an expression, and so in where they are in between.
    strength = rng.uniform(0.4, 1.6, (codes.people, 2, 1))
    ends = common * strength + rng.normal(0, 0.3, (codes.people, 2, UNITS))
    share = np.broadcast_to(level, (codes.people, codes.levels))
    if codes.steep:
        own = AT + codes.spread * rng.normal(size=(codes.people, 1))
        share = 1 / (1 + np.exp(-codes.steep * (level - own)))
    morphs = (1 - share)[:, :, None] * ends[:, :1] + share[:, :, None] * ends[:, 1:]
    noisy = [x + codes.noise * rng.normal(size=x.shape) for x in (ends, morphs)]
    return noisy[0].reshape(-1, UNITS), noisy[1].reshape(-1, UNITS)


def add_sets(wh: Warehouse, people: int, levels: int, *, reverse: bool = False) -> str:
    """Register prototypes and morphs of some people; return the end of the names of both sets."""
    ends = ENDS[::-1] if reverse else ENDS
    names = [f"p{i:02}" for i in range(people)]
    level = np.linspace(0, 1, levels)[:: -1 if reverse else 1]
    prototypes = [{"identity": who, "expression": e} for who in names for e in ENDS]
    morphs = [
        {"identity": who, "morph_from": ends[0], "morph_to": ends[1], "morph_level": float(x)}
        for who in names
        for x in level
    ]
    end = f"{people}_{levels}{'_reversed' if reverse else ''}"
    for name, rows in ((f"faces_{end}", prototypes), (f"morphs_{end}", morphs)):
        register(wh, name, list(_numbered(name, rows)))
    return end


def put_all(wh: Warehouse, network: str, end: str, simulated: Sequence[Codes]) -> None:
    """Put responses into a warehouse, those of each simulation as `UNITS` units of one layer."""
    both = [responses(codes, seed) for seed, codes in enumerate(simulated)]
    for i, name in enumerate(("faces", "morphs")):
        values = np.concatenate([pair[i] for pair in both], axis=1).astype(np.float32)
        wh.put(network, "simulated", f"{name}_{end}", values)


def run_on(wh: Warehouse, network: str, end: str, seed: int, **options: Any) -> Categorical:
    """Run `categorize` on the units of one simulation."""
    file = Path(wh.location).parent / f"{seed}.txt"
    file.write_text("\n".join(map(str, range(seed * UNITS, (seed + 1) * UNITS))))
    place = Place(network, "simulated", f"faces_{end}")
    given: dict[str, Any] = {
        "units": str(file),
        "folds": 4,
        "resamples": 50,
        "simulations": 500,
    } | options
    return categorize(wh, place, Options(morphs=f"morphs_{end}", seed=seed, **given))


def decided(simulated: Sequence[Codes]) -> pl.DataFrame:
    """The row of ``results/categorical`` of each simulation, all of as many people and levels."""
    with tempfile.TemporaryDirectory() as directory:
        wh = Warehouse.create(f"{directory}/warehouse")
        end = add_sets(wh, simulated[0].people, simulated[0].levels)
        put_all(wh, "net", end, simulated)
        runs = [run_on(wh, "net", end, seed) for seed in range(len(simulated))]
        return pl.concat([found.categorical for found in runs])


def in_turn(steep: float, people: int, simulations: int) -> list[Codes]:
    """Simulations that take the sizes of the noise in turn."""
    noises = STEPS if steep else LINEAR
    return [Codes(steep, noises[i % len(noises)], people) for i in range(simulations)]


def covered(
    sd: float,
    tables: int,
    *,
    people: int = 20,
    levels: int = 11,
    steep: float = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """How many intervals hold the truth, of those that there are, and how many there are not."""
    rng = np.random.default_rng(seed)
    level = np.linspace(0, 1, levels)[:, None]
    between = np.random.default_rng(1).normal(size=200_000)
    logit = steep * (level - 0.5)
    truth = fit("logistic", level[:, 0], (1 / (1 + np.exp(-logit - sd * between))).mean(axis=1))
    held: dict[str, list[bool | None]] = {"boundary": [], "slope": []}
    for _ in range(tables):
        p = 1 / (1 + np.exp(-logit - sd * rng.normal(size=people)))
        second = (rng.random((levels, people)) < p).astype(float)
        fitted = fit("logistic", level[:, 0], second.mean(axis=1))
        found = intervals(fitted, level[:, 0], second, resamples, rng)
        for name, values in held.items():
            ends, true = getattr(found, name), getattr(truth, name)
            values.append(None if ends is None else bool(ends[0] <= true <= ends[1]))
    shares = {}
    for name, values in held.items():
        known = [value for value in values if value is not None]
        shares[name] = float(np.mean(known))
        shares[f"{name}_none"] = 1 - len(known) / tables
    return shares


def figures(simulations: int = 100, tables: int = 2000) -> Iterator[tuple[str, str]]:
    """Yield what was measured, in words, and its figure."""
    for steep, kind in ((0, "linear"), (40, "step")):
        for people in PEOPLE:
            rows = decided(in_turn(steep, people, simulations))
            said = f"{kind} codes of {people} people, noise {STEPS if steep else LINEAR}"
            yield f"{said}: categorical", f"{rows['categorical'].sum()} of {simulations}"
    for sd in (0, 1, 2):
        share = covered(sd, tables)
        for name in ("boundary", "slope"):
            none = f"{share[f'{name}_none']:.3f} not estimable"
            said = f"{tables} tables, logit SD {sd}: intervals that hold the {name}"
            yield said, f"{share[name]:.3f} ({none})"


def run() -> None:
    """Print every figure as it comes."""
    print("| measured | |\n| --- | --- |")
    for said, figure in figures():
        print(f"| {said} | {figure} |", flush=True)


def _numbered(name: str, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    empty = dict.fromkeys(("file", "expression", "morph_from", "morph_to", "morph_level"))
    for i, row in enumerate(rows):
        image = sha256(f"{name} {i}".encode()).hexdigest()
        about = {"stimulus_id": i, "image_sha256": image, "source": "simulated", "attributes": {}}
        yield empty | about | row

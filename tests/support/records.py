"""Every record of options, the command that takes it, and values that its options cannot have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING
from math import inf, nextafter
from typing import Any, NamedTuple

from fexp_store import ingest
from fexp_store.analyses import ANALYSES, analysis
from fexp_store.ingest import replay
from fexp_store.networks import records as networks
from fexp_store.options import Option, describe
from fexp_store.rights import Rights
from fexp_store.stimuli.recipe import Listing, Morphing, Preparation, Rendering


class Taken(NamedTuple):
    """A record of options and the command that takes it, with the arguments that it needs."""

    command: str
    record: type
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.command}: {self.record.__name__}"


_PLACE = ("--network", "n", "--layer", "l", "--stimuli", "s")
_SETS = ("stimuli add", "stimuli render", "stimuli morph", "stimuli prepare")

RECORDS = [
    *(
        Taken(name, analysis(name).options, ("n:l", "m:l", "--stimuli", "s"))
        if analysis(name).compares
        else Taken(name, analysis(name).options, _PLACE)
        for name in ANALYSES
    ),
    Taken("ingest", ingest.Options, _PLACE),
    Taken("verify", replay.Options, ()),
    Taken("networks add", networks.Options, ("n",)),
    Taken("stimuli add", Listing, ("s", "images")),
    Taken("stimuli render", Rendering, ("s",)),
    Taken("stimuli morph", Morphing, ("s", "new")),
    Taken("stimuli prepare", Preparation, ("s", "new")),
    *(Taken(command, Rights, ("s",)) for command in _SETS),
]


def label(part: Taken | Option) -> str:
    """A name for a test, the same in every process."""
    return part.name if isinstance(part, Option) else str(part)


def options() -> Iterator[tuple[Taken, Option]]:
    """Every option of every record."""
    for taken in RECORDS:
        for option in describe(taken.record):
            yield taken, option


def needed(record: type) -> dict[str, str]:
    """Some value for each option that must be given."""
    return {o.name: "given" for o in describe(record) if o.default is MISSING}


def edges(option: Option) -> tuple[list[Any], list[Any]]:
    """Values at the bounds or of the choices that its words name: those inside, those outside."""
    if option.choices:
        return list(option.choices), ["neither", option.choices[0].upper()]
    if option.kind not in (int, float):
        return [], []
    inside: list[Any] = []
    outside: list[Any] = [float("nan"), float("inf")] if option.kind is float else []
    for word, number in re.findall(r"(from|to|at most|above|below) (-?[\d.]+)", option.wanted):
        bound = option.kind(number)
        if word == "from":
            inside, outside = [*inside, bound], [*outside, _next(bound, -1)]
        elif word in ("to", "at most"):
            inside, outside = [*inside, bound], [*outside, _next(bound, 1)]
        else:
            within = _next(bound, 1 if word == "above" else -1)
            inside, outside = [*inside, within], [*outside, bound]
    return inside, outside


def _next(bound: Any, way: int) -> Any:
    """The nearest number above or below."""
    return bound + way if isinstance(bound, int) else nextafter(bound, way * inf)


def bad_value(option: Option) -> Any:
    """A value that an option cannot have; None if it has neither bounds nor choices."""
    outside = edges(option)[1]
    return outside[-1] if outside else None

"""Replay: networks are run again on a random sample of what is stored, and must give the same.

It catches what no checksum can: weights, images, preprocessing or arithmetic that are not what they
were when activations were stored, and activations that were wrong from the start.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Literal

import polars as pl
from msgspec import Meta

from fexp_store import schemas
from fexp_store.errors import FexpError
from fexp_store.ingest.sample import draw
from fexp_store.options import Count, Seed, record
from fexp_store.progress import Started, silent
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.activations.fragment import TABLE, stored_path
from fexp_store.warehouse.networks import IMPORTED
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.verify.fault import Fault, Kind

if TYPE_CHECKING:
    from fexp_store.ingest.again import Outcome


@record
class Options:
    """What is run again, and where."""

    replay: Annotated[
        Count | None,
        Meta(description="Run networks again on so many stimuli of layers, and compare."),
    ] = None
    seed: Annotated[
        Seed | None, Meta(description="Seed of that sample; by default one that is told.")
    ] = None
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Meta(description="Where to run it; auto takes what the ingest had run on, if it is here."),
    ] = "auto"


@dataclass
class Replayed:
    """What came of a sample. Each stimulus of a layer that was drawn is counted once.

    Parameters
    ----------
    seed : int
        Draws the same sample again while the same is stored.
    agreed, differed, not_run : int
    faults : list of Fault
        One for each file with activations that its network does not give, which `repair` takes
        out, and one for each reason why something could not be run again.
    left_out : dict of str to int
        Files that nothing can be drawn of, by why.
    """

    seed: int
    agreed: int = 0
    differed: int = 0
    not_run: int = 0
    faults: list[Fault] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def drawn(self) -> int:
        """Stimuli of layers that were drawn."""
        return self.agreed + self.differed + self.not_run


def replay(wh: Warehouse, options: Options, *, started: Started = silent) -> Replayed:
    """Run networks again on a sample, and compare what they give with what is stored.

    A stimulus of a layer is as likely to be drawn as any other, whatever number of units the layer
    has. Nothing is written.

    Parameters
    ----------
    options : Options
        `replay` is how many are drawn; all if there are fewer.
    started : callable, optional
        Called with the number that was drawn; returns a function that is called with the number
        done since its last call.

    Raises
    ------
    Damaged
        If the tables that say what is stored cannot be read.
    """
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    files = wh.frame(schemas.sql("queries")["replayable"])
    foreign = pl.col("fragment_id").is_null()
    imported = (pl.col("precision") == IMPORTED).fill_null(value=False)
    found = Replayed(seed)
    for why, which in (("imported", imported), ("of another program", foreign)):
        if count := files.filter(which).height:
            found.left_out[why] = count
    asked = draw(wh, files.filter(~foreign & ~imported), options.replay or 0, seed)
    if not asked:
        return found
    # torch takes seconds to import.
    from fexp_store.ingest.again import run_again

    advance = started(sum(len(one.stimuli) for one in asked))
    again = f"fexp verify --replay {options.replay} --seed {seed}"
    if options.device != "auto":
        again += f" --device {options.device}"
    for _, files_of_network in groupby(asked, key=lambda one: one.place.network):
        outcomes = []
        for outcome in run_again(wh, list(files_of_network), options.device):
            outcomes.append(outcome)
            advance(1)
        found.agreed += sum(one.difference is None and one.reason is None for one in outcomes)
        found.differed += sum(one.difference is not None for one in outcomes)
        found.not_run += sum(one.reason is not None for one in outcomes)
        found.faults += [*_differing(outcomes, again), *_unrun(outcomes, again)]
    return found


def broken(options: Options, error: FexpError) -> Replayed:
    """Return that nothing could be drawn, since what is stored cannot be told."""
    said = f"Nothing could be run again: {error}"
    remedy = f"When that is done, run: fexp verify --replay {options.replay}"
    return Replayed(options.seed or 0, faults=[Fault(Kind.network, TABLE, said, remedy)])


def _differing(outcomes: list[Outcome], again: str) -> list[Fault]:
    """Name the files whose activations differ, with the largest difference of each."""
    faults = []
    by_file = sorted(outcomes, key=lambda one: (one.asked.place, one.asked.file.path))
    for path, group in groupby(by_file, key=lambda one: one.asked.file.path):
        ran = [one for one in group if one.reason is None]
        wrong = [(one.difference.relative, one) for one in ran if one.difference is not None]
        if not wrong:
            continue
        relative, worst = max(wrong, key=lambda pair: pair[0])
        place, difference = worst.asked.place, worst.difference
        assert difference is not None
        unit = worst.asked.file.ranges.unit_start + difference.unit
        said = (
            f"{place}: the network gives {difference.again:.6g} for stimulus {worst.stimulus} and "
            f"unit {unit}, and {difference.stored:.6g} is stored: {relative:.1e} of the largest "
            f"response ({len(wrong)} of {len(ran)} stimuli differ)."
        )
        remedy = (
            "Look what has changed since: fexp log; to take the file out and store it again: "
            f"{again} --repair"
        )
        faults.append(Fault(Kind.activations, stored_path(path), said, remedy))
    return faults


def _unrun(outcomes: list[Outcome], again: str) -> list[Fault]:
    """Name the reasons why something could not be run again, each once for a set."""
    reasons = Counter(
        (one.asked.place.network, one.asked.place.stimulus_set, one.reason)
        for one in outcomes
        if one.reason is not None
    )
    return [
        Fault(
            Kind.network,
            f"{TABLE}/{Place(network, '', name).path.split('/')[0]}",
            f"{count} drawn of {name} could not be run again: {reason}",
            f"When that is done, run: {again}",
        )
        for (network, name, reason), count in reasons.items()
    ]

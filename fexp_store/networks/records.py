"""How a network comes to be: the options of ``fexp networks add``; reading them needs no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from fexp_store.errors import BadInput
from fexp_store.options import Seed, record
from fexp_store.rights import Rights


@record
class Options(Rights):
    """How a network comes to be: its architecture, and weights that are published, given or drawn.

    The study does not say how its untrained network was initialised; ``kaiming_normal`` keeps the
    variance of activations from layer to layer under ReLU, and is our choice.
    """

    architecture: Annotated[
        str | None, Meta(description="Architecture; by default that of the same name.")
    ] = None
    weights: Annotated[
        Path | None, Meta(description="Weights file; by default the one a package ships.")
    ] = None
    untrained: Annotated[bool, Meta(description="Draw the weights.")] = False
    permuted: Annotated[
        bool, Meta(description="Shuffle trained weights within each layer, by the seed.")
    ] = False
    seed: Annotated[Seed, Meta(description="Seed of untrained or permuted weights.")] = 0
    seeds: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(
            description="Register a group of so many networks, NAME_SEED, of --seed and the seeds "
            "after it.",
        ),
    ] = None
    init: Annotated[
        str,
        Meta(
            description="How untrained weights are drawn: kaiming_normal, xavier_normal, "
            "lecun_normal or gaussian:SD."
        ),
    ] = "kaiming_normal"
    preprocessing: Annotated[
        dict[str, Any] | None,
        Meta(description="Change fields of the preprocessing, as JSON: '{\"size\": 160}'."),
    ] = None
    group: Annotated[
        str | None,
        Meta(description="Name shared by replicates; by default the network's own."),
    ] = None

    def check(self) -> None:
        """Refuse what cannot be said together; BadInput."""
        if self.weights is not None and self.untrained:
            raise BadInput("A network is untrained or has a weights file, not both.")
        if self.permuted and self.untrained:
            raise BadInput("A network is untrained or has permuted weights, not both.")
        if self.seeds is not None and not (self.untrained or self.permuted):
            raise BadInput("Only untrained or permuted networks have seeds; say which they are.")
        if self.seed + (self.seeds or 1) > 1 << 32:
            raise BadInput("The seeds of the group are beyond 2^32; begin with a smaller --seed.")

    def members(self, name: str) -> dict[str, Options]:
        """Return what is registered under which name: one network, or those of a group."""
        if self.seeds is None:
            return {name: self}
        alike = replace(
            self,
            architecture=self.architecture or name,
            group=self.group or name,
            seeds=None,
        )
        seeds = range(self.seed, self.seed + self.seeds)
        return {f"{name}_{seed}": replace(alike, seed=seed) for seed in seeds}

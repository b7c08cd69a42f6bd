"""How a network comes to be: the options of ``fexp networks add``; reading them needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

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
    seed: Annotated[Seed, Meta(description="Seed of untrained weights.")] = 0
    init: Annotated[
        str,
        Meta(
            description="How untrained weights are drawn: kaiming_normal, xavier_normal, "
            "lecun_normal or gaussian:SD."
        ),
    ] = "kaiming_normal"
    preprocessing: Annotated[
        dict[str, Any] | None,
        Meta(
            description="What images become: as for torchvision, caffe, matconvnet, vgg_face or "
            "keras, or fields as JSON: '{\"size\": 160}'.",
            extra={"word": "like"},
        ),
    ] = None
    training: Annotated[
        str | None,
        Meta(description="What the weights of the file were trained on; unknown by default."),
    ] = None
    group: Annotated[
        str | None,
        Meta(description="Name shared by replicates; by default the network's own."),
    ] = None

"""What is said of activations that were made elsewhere, and the network that it makes of them."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Annotated, Literal

from msgspec import Meta

from fexp_store.errors import BadInput
from fexp_store.options import record
from fexp_store.rights import Rights
from fexp_store.warehouse import networks
from fexp_store.warehouse.activations.storing import Storing
from fexp_store.warehouse.networks import IMPORTED, UNKNOWN, Layer, Registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import Storage

Axes = Literal["NU", "UN", "NCHW", "NHWC", "CHWN", "HWCN"]
"""N stimuli, U units, C channels, H rows, W columns, from the slowest to the fastest."""


@record
class Options(Storing, Rights):
    """What is said of activations that were made elsewhere, and how their file is read.

    What is said of the network (training, source, group and rights) is said once: a further
    import may leave it away, and may not say otherwise.
    """

    source: Annotated[
        str | None,
        Meta(description="Where the activations come from: software, weights, commands; a text."),
    ] = None
    training: Annotated[
        str | None,
        Meta(description="What the network was trained on: face identity, object, none, …"),
    ] = None
    group: Annotated[
        str | None,
        Meta(description="Name shared by replicates; by default the network's own."),
    ] = None
    shape: Annotated[
        str | None,
        Meta(description="Shape of the layer as C,H,W, if units have one: '512,14,14'."),
    ] = None
    axes: Annotated[
        Axes | None,
        Meta(
            description="Dimensions of the matrix, slowest first: N stimuli, U units, C channels, "
            "H rows, W columns; NU of two and NCHW of four by default."
        ),
    ] = None
    array: Annotated[
        str | None, Meta(description="Which array of the file; by default its only matrix.")
    ] = None
    rows: Annotated[
        str | None,
        Meta(
            description="Array or column of the file, or a file with one a line, that labels the "
            "rows by stimulus_id or image_sha256; by default those of these names, if there."
        ),
    ] = None

    @property
    def layer_shape(self) -> tuple[int, ...] | None:
        """The shape of the layer, if it is said; BadInput if it is none."""
        if self.shape is None:
            return None
        parts = self.shape.split(",")
        if len(parts) not in (1, 3) or not all(p.isdecimal() and int(p) > 0 for p in parts):
            raise BadInput(f"shape must be C,H,W, whole numbers above 0, not {self.shape!r}.")
        return tuple(map(int, parts))


def declare(storage: Storage, place: Place, shape: tuple[int, ...], options: Options) -> Registered:
    """Make the row of a network with one layer; what is not said is what was said before.

    Raises
    ------
    Conflict
        If something else was said before, or the name is that of a network that fexp runs.
    """
    before = networks.rows(storage, place.network)
    known = before[0] if before and before[0].architecture == IMPORTED else None
    training = options.training or (known.training if known else UNKNOWN)
    said = f"{IMPORTED}: {options.source}" if options.source else IMPORTED
    source = known.weights_source if known and not options.source else said
    layer = Layer(place.layer, shape)
    text = json.dumps([place.network, training, source])
    row = Registered(
        network=place.network,
        network_group=options.group or (known.network_group if known else place.network),
        architecture=IMPORTED,
        training=training,
        weights_source=source,
        weights_sha256=sha256(text.encode()).hexdigest(),
        seed=None,
        preprocessing="{}",
        layers=networks.layers_json([layer]),
        licence=options.licence,
        citation=options.citation,
    )
    networks.is_among(row, before)
    return row

"""What an ingest is asked for, checked against what is registered and what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from fexp_store import schemas
from fexp_store.errors import Conflict, NotFound
from fexp_store.ingest.plan import Piece, Plan
from fexp_store.options import Count, record
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse, delta
from fexp_store.warehouse.activations import grid
from fexp_store.warehouse.activations.commit import stored_ranges
from fexp_store.warehouse.activations.fragment import TABLE, ContentId
from fexp_store.warehouse.activations.grid import Range
from fexp_store.warehouse.activations.storing import Storing
from fexp_store.warehouse.networks import (
    IMPORTED,
    Layer,
    Registered,
    choose_layers,
    is_pattern,
    registered,
)
from fexp_store.warehouse.place import Place


@record
class Options(Storing):
    """How an ingest runs; precision and keep_bits are part of what a fragment is."""

    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Meta(description="auto takes the first of cuda, mps and cpu that is there."),
    ] = "auto"
    precision: Annotated[
        Literal["fp32", "tf32", "bf16"], Meta(description="Arithmetic of the forward pass.")
    ] = "fp32"
    batch_size: Annotated[Count, Meta(description="Images in one forward pass.")] = 32
    workers: Annotated[
        Count | None, Meta(description="Threads that decode images; by default up to 8.")
    ] = None


@dataclass(frozen=True)
class Prepared:
    """An ingest that may begin.

    Parameters
    ----------
    network : Registered
    stimuli : list of dict
        All rows of the stimulus set, in order.
    plan : Plan
        What is missing.
    options : Options
    """

    network: Registered
    stimuli: list[dict[str, Any]]
    plan: Plan
    options: Options

    @property
    def stimulus_set(self) -> str:
        """Name of the stimulus set."""
        return str(self.stimuli[0]["stimulus_set"])

    def content_id(self, layer: str) -> ContentId:
        """Return what determines the content of this layer's fragments, but for the images."""
        return ContentId(
            weights_sha256=self.network.weights_sha256,
            architecture=self.network.architecture,
            preprocessing=self.network.preprocessing,
            layer=layer,
            keep_bits=self.options.keep_bits,
            precision=self.options.precision,
        )

    def fragment_id(self, piece: Piece) -> str:
        """Return the content id of the fragment that a piece becomes."""
        images = self.images(piece.start, piece.stop)
        return self.content_id(piece.layer.name).fragment_id(images, (0, piece.layer.units))

    def images(self, start: int, stop: int) -> list[str]:
        """Return the hashes of the images of a range of stimuli."""
        return [row["image_sha256"] for row in self.stimuli[start:stop]]


def prepare(
    wh: Warehouse, network: str, layers: Sequence[str], stimulus_set: str, options: Options
) -> Prepared:
    """Find out what of a layer x stimulus set is missing.

    Layers are asked for as in `chosen_layers`.

    Raises
    ------
    NotFound
        If the network, a layer or the stimulus set is not registered, or something is missing of
        a network that was run elsewhere.
    Conflict
        If a layer is stored with another precision or other keep_bits.
    """
    row = registered(wh, network)
    names = chosen_layers(row, layers)
    wanted = [row.layer(name) for name in names]
    stimuli = read_set(wh, stimulus_set).to_dicts()
    if row.architecture != IMPORTED:
        _check_stored_alike(wh, row, names, stimulus_set, options)
    places = {Place(network, layer.name, stimulus_set): layer for layer in wanted}
    units = {place: layer.units for place, layer in places.items()}
    stored = stored_ranges(wh.storage, delta.open_table(wh.storage, TABLE), units)
    missing = {
        layer: grid.complement(stored.get(place, []), len(stimuli))
        for place, layer in places.items()
    }
    if row.architecture == IMPORTED:
        _check_complete(stimulus_set, row, missing)
    return Prepared(row, stimuli, Plan(missing, len(stimuli), options.batch_size), options)


def chosen_layers(row: Registered, asked: Sequence[str]) -> list[str]:
    """Return the layers that are asked for by name, by pattern (``blocks.*``), or as ``all``.

    Raises
    ------
    NotFound
        If something matches no layer; where a module of this name cannot be stored, it says why.
    """
    chosen, unmatched = choose_layers(list(row.all_layers()), asked)
    if not unmatched:
        return chosen
    if row.architecture != IMPORTED:
        # torch takes seconds to import, and only a refusal needs it.
        from fexp_store.networks.refusals import why_no_layer

        if (why := why_no_layer(row, unmatched[0])) is not None:
            raise NotFound(why)
    word = "no layer that matches" if is_pattern(unmatched[0]) else "no layer"
    raise NotFound(f"{row.network} has {word} {unmatched[0]!r}; {row.said_of_layers}.")


def _check_complete(
    stimulus_set: str, row: Registered, missing: Mapping[Layer, Sequence[Range]]
) -> None:
    """Refuse to run what was run elsewhere."""
    for layer, ranges in missing.items():
        if ranges:
            place = Place(row.network, layer.name, stimulus_set)
            count = sum(stop - start for start, stop in ranges)
            raise NotFound(
                f"{count} stimuli of {place} are not stored, and fexp cannot run {row.network}, "
                f"which was imported; import them: fexp import FILE {place.as_arguments}"
            )


def _check_stored_alike(
    wh: Warehouse, row: Registered, layers: Sequence[str], stimulus_set: str, options: Options
) -> None:
    """Refuse to mix precisions within one layer: its units would not be comparable."""
    others = wh.frame(
        schemas.sql("queries")["fragments_stored_otherwise"],
        network=row.network,
        layers=list(layers),
        stimulus_set=stimulus_set,
        keep_bits=options.keep_bits,
        precision=options.precision,
    )
    if not others.is_empty():
        layer, keep_bits, precision = others.row(0)
        kept = "all bits" if keep_bits is None else f"{keep_bits} bits"
        raise Conflict(
            f"{row.network} {layer} for {stimulus_set} is stored with precision {precision} and "
            f"{kept} kept; ingest with the same options, or register the set under another name."
        )

"""A fragment: one Parquet file of one layer's activations for a range of stimuli."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

from fexp_store.warehouse.place import Place

TABLE = "activations"
ROW_GROUP_ROWS = 1 << 20


@dataclass(frozen=True)
class Portion:
    """A range of units x a range of stimuli of a layer, and by what run and from what it is made.

    See the schema of the table ``fragments`` for the fields.
    """

    fragment_id: str
    network: str
    layer: str
    stimulus_set: str
    unit_start: int
    unit_stop: int
    stimulus_start: int
    stimulus_stop: int
    keep_bits: int | None
    precision: str
    run_id: str

    @property
    def place(self) -> Place:
        """Whose activations these are."""
        return Place(self.network, self.layer, self.stimulus_set)

    @property
    def units(self) -> int:
        """Number of units."""
        return self.unit_stop - self.unit_start

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return self.stimulus_stop - self.stimulus_start

    @property
    def in_file(self) -> dict[str, str]:
        """What the file says of itself, in the key-value metadata of Parquet."""
        names = ("fragment_id", *Place._fields)
        ranges = ("unit_start", "unit_stop", "stimulus_start", "stimulus_stop")
        return {f"fexp.{name}": str(getattr(self, name)) for name in (*names, *ranges)}


@dataclass(frozen=True)
class Fragment(Portion):
    """One row of the table ``fragments``: a portion and the file that holds it."""

    path: str
    rows: int
    bytes: int
    sha256: str
    nonfinite: int


@dataclass(frozen=True)
class ContentId:
    """Everything that determines the content of a fragment, apart from its images.

    Parameters
    ----------
    weights_sha256, architecture, preprocessing, layer : str
        As in the table ``networks``.
    keep_bits : int or None
        Mantissa bits kept; None is lossless.
    precision : str
        Arithmetic of the forward pass.
    """

    weights_sha256: str
    architecture: str
    preprocessing: str
    layer: str
    keep_bits: int | None
    precision: str

    def fragment_id(self, image_sha256s: Sequence[str], units: tuple[int, int] | None) -> str:
        """Return the SHA-256 that names this content for these images, in order.

        Parameters
        ----------
        image_sha256s : sequence of str
        units : (int, int) or None
            Half-open range of units; None gives the id that earlier versions gave all units.
        """
        record = asdict(self) | {"images": list(image_sha256s)}
        if units is not None:
            record |= {"units": units}
        return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def units_a_group(n_stimuli: int) -> int:
    """Return how many whole units a row group holds in a fragment of so many stimuli."""
    return max(1, ROW_GROUP_ROWS // n_stimuli)


def new_path(place: Place) -> str:
    """Return a fresh path for the file of a fragment, relative to the warehouse's table."""
    return f"{place.path}/part-{uuid.uuid4().hex}.parquet"


def stored_path(path: str) -> str:
    """Return where a fragment's file is in the warehouse."""
    return f"{TABLE}/{path}"

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
ROW_BYTES = 12  # two int32 ids and a float32, uncompressed
FRAGMENT_BYTES = 512 << 20


@dataclass(frozen=True)
class Fragment:
    """One row of the table ``fragments``; see its schema for the columns."""

    fragment_id: str
    network: str
    layer: str
    stimulus_set: str
    path: str
    unit_start: int
    unit_stop: int
    stimulus_start: int
    stimulus_stop: int
    rows: int
    bytes: int
    sha256: str
    keep_bits: int | None
    precision: str
    run_id: str

    @property
    def place(self) -> Place:
        """Whose activations these are."""
        return Place(self.network, self.layer, self.stimulus_set)


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

    def fragment_id(self, image_sha256s: Sequence[str]) -> str:
        """Return the SHA-256 that names this content for these images, in order."""
        record = asdict(self) | {"images": list(image_sha256s)}
        return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def cells(units: int, n_stimuli: int) -> list[tuple[int, int]]:
    """Return the half-open ranges of stimuli that the fragments of a layer have.

    They depend on nothing but the layer, so that ingests that know nothing of one another agree.
    """
    size = max(1, FRAGMENT_BYTES // (4 * units))
    return [(start, min(start + size, n_stimuli)) for start in range(0, n_stimuli, size)]


def units_a_group(n_stimuli: int) -> int:
    """Return how many whole units a row group holds in a fragment of so many stimuli."""
    return max(1, ROW_GROUP_ROWS // n_stimuli)


def new_path(place: Place) -> str:
    """Return a fresh path for the file of a fragment, relative to the warehouse's table."""
    return f"{place.path}/part-{uuid.uuid4().hex}.parquet"


def stored_path(path: str) -> str:
    """Return where a fragment's file is in the warehouse."""
    return f"{TABLE}/{path}"

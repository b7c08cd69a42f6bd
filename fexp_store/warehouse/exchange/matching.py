"""Which stimulus each row of a matrix is: by the order of the set, by numbers or by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.warehouse.exchange.source import Source

LABELS = ("image_sha256", "stimulus_id")
"""Arrays of these names beside a matrix say which stimulus each row is, unless others are named."""


def match(
    source: Source, wanted: str | Sequence[Any] | None, images: Sequence[str]
) -> NDArray[np.int64]:
    """Return the row of each stimulus.

    Parameters
    ----------
    wanted : str, sequence or None
        Name of an array beside the matrix, or the labels themselves: a stimulus_id or an
        image_sha256 for each row. By default those of `LABELS` that are there; where none is, the
        rows have the order of the set.
    images : sequence of str
        image_sha256 of every stimulus, by stimulus_id.

    Returns
    -------
    ndarray of shape (n_stimuli,), int64

    Raises
    ------
    BadInput
        If a label is unknown, or not each stimulus has one row.
    """
    if wanted is not None:
        labels = source.label(wanted) if isinstance(wanted, str) else np.asarray(wanted)
    else:
        labels = next((x for name in LABELS if (x := source.label(name)) is not None), None)
    if labels is None:
        return np.arange(len(images))
    return _rows(labels.reshape(-1), images)


def check_units(source: Source, n_units: int) -> None:
    """Refuse units that are numbered otherwise than from 0 in their order."""
    unit_ids = source.label("unit_id")
    if unit_ids is not None and not np.array_equal(unit_ids.reshape(-1), np.arange(n_units)):
        raise BadInput(
            f"{source.name} numbers its units otherwise than from 0 to {n_units - 1} in their "
            "order, so that they are no whole layer; without the array unit_id it is one."
        )


def _rows(labels: NDArray[Any], images: Sequence[str]) -> NDArray[np.int64]:
    known: dict[Any, int]
    if labels.dtype.kind in "iuf":
        known = {number: number for number in range(len(images))}
        keys = labels.tolist()
    else:
        known = {image: number for number, image in enumerate(images)}
        keys = list(map(str, labels.astype(str).tolist()))
        if len(known) < len(images):
            raise BadInput("Two stimuli of the set have one image; label the rows by stimulus_id.")
    rows = np.full(len(images), -1)
    for row, key in enumerate(keys):
        if key not in known:
            raise BadInput(f"Row {row} is labelled {key!r}, and the set has no such stimulus.")
        if rows[known[key]] >= 0:
            raise BadInput(f"Rows {rows[known[key]]} and {row} are both labelled {key!r}.")
        rows[known[key]] = row
    if (rows < 0).any():
        missing = int(np.argmax(rows < 0))
        raise BadInput(
            f"No row is labelled as stimulus {missing} of the set ({int((rows < 0).sum())} of "
            f"{len(images)} have none); a whole set is imported at once."
        )
    return rows

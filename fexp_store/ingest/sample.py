"""A random sample of what is stored: stimuli of files of activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.activations.matrix import StoredFile, stored_files
from fexp_store.warehouse.place import Place


@dataclass(frozen=True)
class Asked:
    """Stimuli of a file of activations that are to be run again.

    Parameters
    ----------
    place : Place
    file : StoredFile
    stimuli : tuple of int
        stimulus_ids, in ascending order.
    keep_bits : int or None
    precision : str
    device : str or None
        On which kind it was run; None if nothing says.
    batch_size : int or None
        Of the ingest; None if nothing says.
    """

    place: Place
    file: StoredFile
    stimuli: tuple[int, ...]
    keep_bits: int | None
    precision: str
    device: str | None
    batch_size: int | None

    @property
    def units(self) -> int:
        """Number of units in the file."""
        return self.file.ranges.unit_stop - self.file.ranges.unit_start

    @property
    def how(self) -> tuple[str, ...]:
        """What files have in common that one pass can run."""
        return tuple(
            map(str, (self.place.stimulus_set, self.precision, self.device, self.batch_size))
        )


def draw(wh: Warehouse, files: pl.DataFrame, n: int, seed: int) -> list[Asked]:
    """Draw stimuli of files without replacement, each as likely as any other.

    Parameters
    ----------
    files : DataFrame
        Rows of the query ``replayable``, whose order counts.
    n : int
        How many; all if there are fewer.

    Returns
    -------
    list of Asked
        In the order of the files; those of which nothing was drawn are not among them.
    """
    stops = (files["stimulus_stop"] - files["stimulus_start"]).cast(pl.Int64).cum_sum().to_numpy()
    total = int(stops[-1]) if len(stops) else 0
    rng = np.random.default_rng(seed)
    numbers = np.sort(rng.choice(total, min(n, total), replace=False))
    which = np.searchsorted(stops, numbers, side="right")
    places = np.unique(which)
    drawn = files[places.tolist()]
    rows = zip(places, drawn.iter_rows(named=True), stored_files(wh.storage, drawn), strict=True)
    return [
        Asked(
            place=Place(*(row[name] for name in Place._fields)),
            file=file,
            stimuli=tuple((numbers[which == at] - stops[at] + row["stimulus_stop"]).tolist()),
            **{name: row[name] for name in ("keep_bits", "precision", "device", "batch_size")},
        )
        for at, row, file in rows
    ]

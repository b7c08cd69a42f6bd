"""Which units an analysis reads: the selective ones, all, as many at random, or those of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.records import registered
from fexp_store.warehouse import Warehouse

CHOICES = ("selective", "all", "random")
"""What `choose_units` knows; anything else names a file."""


@dataclass(frozen=True)
class ChosenUnits:
    """Units of a layer.

    Parameters
    ----------
    unit_ids : ndarray of shape (n_units,), int32
        In ascending order.
    selection_run : str or None
        The run of ``fexp select`` that they come from; None if from none.
    """

    unit_ids: NDArray[np.int32]
    selection_run: str | None


def units_name(units: str) -> str:
    """How results name a choice of units: a file by its name, since no path is ever stored."""
    return Path(units).name


def choose_units(
    wh: Warehouse, network: str, layer: str, units: str, selected_on: str, *, seed: int = 0
) -> ChosenUnits:
    """Choose units of a layer.

    Parameters
    ----------
    units : str
        ``selective``; ``all``; ``random``: as many as are selective, drawn without replacement
        from all units that vary; or a text file with one unit_id a line.
    selected_on : str
        Stimulus set that ``fexp select`` was run on (its newest run counts), or the run_id of a
        certain run.
    seed : int
        Of the random draw.

    Raises
    ------
    NotFound
        If ``fexp select`` was not run, or there is no such file.
    BadInput
        If no unit is selective, or the file holds something else than units of the layer.
    """
    n_units = registered(wh, network).layer(layer).units
    if units == "all":
        return ChosenUnits(np.arange(n_units, dtype=np.int32), None)
    if units not in ("selective", "random"):
        return ChosenUnits(_from_file(Path(units), n_units), None)
    rows = _selection(wh, network, layer, selected_on)
    selective = rows.filter("selective")
    if selective.is_empty():
        raise BadInput(
            f"No unit of {network} {layer} is selective on {selected_on}; use all units."
        )
    if units == "random":
        varying = rows.filter(pl.col("f_expression").is_not_null())["unit_id"].to_numpy()
        rng = np.random.default_rng(seed)
        drawn = rng.choice(varying, selective.height, replace=False)
        return ChosenUnits(np.sort(drawn), rows["run_id"][0])
    return ChosenUnits(selective["unit_id"].to_numpy(), rows["run_id"][0])


def _selection(wh: Warehouse, network: str, layer: str, selected_on: str) -> pl.DataFrame:
    columns = "SELECT unit_id, selective, f_expression, run_id FROM"
    key = {"network": network, "layer": layer, "name": selected_on}
    condition = "WHERE network = $network AND layer = $layer AND"
    rows = wh.frame(
        f"{columns} selectivity {condition} stimulus_set = $name ORDER BY unit_id", **key
    )
    if rows.is_empty():
        rows = wh.frame(
            f"{columns} stored.selectivity {condition} run_id = $name ORDER BY unit_id", **key
        )
    if rows.is_empty():
        raise NotFound(
            f"No selective units of {network} {layer} on {selected_on} are stored; run: "
            f"fexp select --network {network} --layer {layer} --stimuli {selected_on}"
        )
    return rows


def _from_file(path: Path, n_units: int) -> NDArray[np.int32]:
    if not path.is_file():
        raise NotFound(
            f"{str(path)!r} is neither selective, all or random nor a file with one unit_id a line."
        )
    try:
        unit_ids = np.unique(np.array(path.read_text("utf-8").split(), dtype=np.int32))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{path} holds something else than unit_ids: {error}.") from None
    if not unit_ids.size or unit_ids[0] < 0 or unit_ids[-1] >= n_units:
        raise BadInput(f"{path} must hold unit_ids from 0 to {n_units - 1}, one a line.")
    return unit_ids

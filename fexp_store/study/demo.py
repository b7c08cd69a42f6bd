"""The demo study, and what it shows of its results: a summary and the most selective unit."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files

import polars as pl

from fexp_store import schemas
from fexp_store.progress import Bar
from fexp_store.stimuli.images import png_of
from fexp_store.stimuli.sheets import stimuli_sheet
from fexp_store.study.file import read_study
from fexp_store.study.run import run_study
from fexp_store.warehouse import Warehouse

STIMULI = "demo_faces"
SHOWN = ("dlib_face", "conv4_3")
"""The layer whose most selective unit the demo shows."""


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Parameters
    ----------
    summary : DataFrame
        network, training, layer, units, selective, percent.
    unit : DataFrame of one row, or of none if no unit is selective
        unit_id, f_expression, eta_squared_expression, preferred_expression.
    sheet : str or None
        Contact sheet of the images that drive the unit most.
    """

    summary: pl.DataFrame
    unit: pl.DataFrame
    sheet: str | None


def run_demo(wh: Warehouse, bar: Bar) -> Demo:
    """Run what is missing of the demo study.

    Parameters
    ----------
    bar : callable
        Makes a progress bar with a label.
    """
    with as_file(files("fexp_store") / "data" / "demo.toml") as path:
        run_study(wh, read_study(path), bar)
    summary = wh.frame(schemas.sql("queries")["demo_summary"], stimulus_set=STIMULI)
    return Demo(summary, *_show_best_unit(wh))


def _show_best_unit(wh: Warehouse) -> tuple[pl.DataFrame, str | None]:
    network, layer = SHOWN
    query = schemas.sql("queries")["most_selective_unit"]
    unit = wh.frame(query, network=network, layer=layer, stimulus_set=STIMULI)
    if unit.is_empty():
        return unit, None
    top = wh.frame(
        "SELECT t.activation, s.* FROM top_stimuli($network, $layer, $unit, 12) AS t "
        "INNER JOIN stimuli AS s USING (stimulus_set, stimulus_id)",
        network=network,
        layer=layer,
        unit=unit["unit_id"][0],
    ).sort("activation", descending=True)
    captions = [f"{e} {a:.3g}" for e, a in top.select("expression", "activation").iter_rows()]
    sheet = f"reports/{network}_{layer}_unit_{unit['unit_id'][0]}.png"
    wh.storage.write(sheet, png_of(stimuli_sheet(wh, top, captions)))
    return unit, wh.storage.uri(sheet)

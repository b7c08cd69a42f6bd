"""The demo study: rendered faces, three networks, and the units that tell expressions apart."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from fexp_store import schemas
from fexp_store.analyses.selectivity import select
from fexp_store.ingest import Options, ingest
from fexp_store.networks import registry
from fexp_store.networks.registry import Untrained
from fexp_store.stimuli.rendered_sets import render_set
from fexp_store.stimuli.sheets import stimuli_sheet
from fexp_store.warehouse import Warehouse

STIMULI = "demo_faces"
IDENTITIES = 24
SEED = 1
_DLIB_LAYERS = ("conv1", "conv2_3", "conv3_4", "conv4_3", "conv5_3", "conv6_1", "embedding")
LAYERS = {
    "dlib_face": _DLIB_LAYERS,
    "dlib_face_untrained": _DLIB_LAYERS,
    "vgg_face_untrained": ("conv5_3",),
}
SHOWN = ("dlib_face", "conv4_3")
"""The layer whose most selective unit the demo shows."""

Bar = Callable[[str], AbstractContextManager[Callable[[int], Callable[[int], None]]]]


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Parameters
    ----------
    summary : DataFrame
        network, training, layer, units, selective, percent.
    unit : DataFrame of one row, or of none if no unit is selective
        unit_id, f_expression, eta_squared_expression, preferred_expression.
    sheet : Path or None
        Contact sheet of the images that drive the unit most.
    """

    summary: pl.DataFrame
    unit: pl.DataFrame
    sheet: Path | None


def run_demo(wh: Warehouse, bar: Bar) -> Demo:
    """Run what is missing of the demo study.

    Parameters
    ----------
    bar : callable
        Makes a progress bar with a label.
    """
    with bar(f"Rendering {IDENTITIES} people") as started:
        render_set(wh, STIMULI, IDENTITIES, SEED, neutral=False, started=started)
    registry.add(wh, "dlib_face", "dlib_face")
    registry.add(wh, "dlib_face_untrained", "dlib_face", untrained=Untrained())
    registry.add(wh, "vgg_face_untrained", "vgg_face", untrained=Untrained())
    for network, layers in LAYERS.items():
        with bar(f"Running {network}") as started:
            ingest(wh, network, layers, STIMULI, Options(), started=started)
        missing = [layer for layer in layers if not _selected(wh, network, layer)]
        with bar(f"Selecting units of {network}") as started:
            advance = started(len(missing))
            for layer in missing:
                select(wh, network, layer, STIMULI)
                advance(1)
    summary = wh.frame(schemas.sql("queries")["demo_summary"], stimulus_set=STIMULI)
    return Demo(summary, *_show_best_unit(wh))


def _selected(wh: Warehouse, network: str, layer: str) -> bool:
    rows = wh.frame(
        "FROM selectivity WHERE network = $network AND layer = $layer AND stimulus_set = $s"
        " LIMIT 1",
        network=network,
        layer=layer,
        s=STIMULI,
    )
    return not rows.is_empty()


def _show_best_unit(wh: Warehouse) -> tuple[pl.DataFrame, Path | None]:
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
    sheet = wh.root / "reports" / f"{network}_{layer}_unit_{unit['unit_id'][0]}.png"
    sheet.parent.mkdir(exist_ok=True)
    stimuli_sheet(wh, top, captions).save(sheet)
    return unit, sheet

"""Contact sheets: images of a set side by side, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from PIL import Image, ImageDraw, ImageFont

from fexp_store.stimuli import images
from fexp_store.warehouse import Warehouse

MAX_IDENTITIES = 12
MAX_LEVELS = 11
_CAPTION = 18  # pixels below each image
_GAP = 4


def contact_sheet(
    tiles: Sequence[tuple[Image.Image | None, str]], columns: int, side: int = 128
) -> Image.Image:
    """Lay images out row by row, each above its caption, on white.

    Parameters
    ----------
    tiles : sequence of (image or None, str)
        None leaves the place empty.
    columns : int
    side : int
        Side of each image in pixels.
    """
    rows = -(-len(tiles) // columns)
    width, height = side + _GAP, side + _CAPTION + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for place, (image, caption) in enumerate(tiles):
        left, top = place % columns * width + _GAP, place // columns * height + _GAP
        if image is not None:
            sheet.paste(image.convert("RGB").resize((side, side)), (left, top))
        middle = (left + side / 2, top + side + _CAPTION / 2)
        draw.text(middle, caption, fill="black", font=font, anchor="mm")
    return sheet


def set_sheet(wh: Warehouse, rows: pl.DataFrame) -> Image.Image:
    """Show a set: a row per identity (at most `MAX_IDENTITIES`), a column per expression.

    A set of morphs has a row per identity and continuum, a column per level (at most `MAX_LEVELS`).

    Parameters
    ----------
    rows : DataFrame
        What `fexp_store.stimuli.sets.read_set` returned.
    """
    if rows["morph_level"].is_not_null().all():
        return _morph_sheet(wh, rows)
    expressions = rows["expression"].drop_nulls().unique().sort().to_list()
    identities = rows["identity"].unique(maintain_order=True).to_list()[:MAX_IDENTITIES]
    cells = {(r["identity"], r["expression"]): r for r in rows.iter_rows(named=True)}
    places = [(identity, expression) for identity in identities for expression in expressions]
    pictures = _pictures(wh, [cells.get(place) for place in places])
    return contact_sheet(list(zip(pictures, map(" ".join, places), strict=True)), len(expressions))


def _morph_sheet(wh: Warehouse, rows: pl.DataFrame) -> Image.Image:
    continua = ("identity", "morph_from", "morph_to")
    levels = rows["morph_level"].unique().sort()
    columns = min(len(levels), MAX_LEVELS)
    places = [round(i * (len(levels) - 1) / (columns - 1)) for i in range(columns)]
    kept = rows.filter(pl.col("morph_level").is_in(levels.gather(places).implode()))
    strips = kept.partition_by(*continua, maintain_order=True)[:MAX_IDENTITIES]
    shown = pl.concat(strip.sort("morph_level") for strip in strips)
    captions = [
        f"{one[:2]}-{other[:2]} {level:.2f}"
        for one, other, level in shown.select(*continua[1:], "morph_level").iter_rows()
    ]
    return stimuli_sheet(wh, shown, captions, columns)


def stimuli_sheet(
    wh: Warehouse, rows: pl.DataFrame, captions: Sequence[str], columns: int = 6
) -> Image.Image:
    """Show some stimuli in the order given.

    Parameters
    ----------
    rows : DataFrame
        Rows of the view ``stimuli``.
    captions : sequence of str
    columns : int
        Images in a row.
    """
    pictures = _pictures(wh, rows.to_dicts())
    return contact_sheet(list(zip(pictures, captions, strict=True)), columns)


def _pictures(wh: Warehouse, stimuli: Sequence[dict[str, Any] | None]) -> list[Image.Image | None]:
    roots = images.roots(wh.storage)
    return [
        None if row is None else Image.fromarray(images.pixels(wh.storage, row, roots))
        for row in stimuli
    ]

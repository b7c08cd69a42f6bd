"""Which photographs of a listing are registered: filters, and images in one cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import polars as pl

from fexp_store.errors import BadInput
from fexp_store.expressions import BASIC, NEUTRAL
from fexp_store.stimuli.photographs.listing import Photograph
from fexp_store.stimuli.recipe import Listing

_NAMED = 3  # cells that a message names


def choose(listed: Sequence[Photograph], recipe: Listing) -> list[Photograph]:
    """Apply the filters, then settle images in one cell.

    Raises
    ------
    BadInput
        If an expression or an attribute is unknown, nothing is left, or two images are in one
        cell and `recipe` refuses that.
    """
    conditions = recipe.conditions
    _check_where(listed, conditions)
    wanted = recipe.wanted or (*BASIC, NEUTRAL)
    chosen = [
        photograph
        for photograph in listed
        if photograph.expression in wanted
        and all(
            photograph.attributes.get(key, "").casefold() == value.casefold()
            for key, value in conditions.items()
        )
    ]
    if not chosen:
        raise BadInput(f"None of the {len(listed)} images passes the filters.")
    return _settle(chosen, recipe.settled)


def incomplete(photographs: Sequence[Photograph]) -> pl.DataFrame:
    """Count the images in each cell, for the identities that lack one or have one twice.

    Returns
    -------
    DataFrame
        identity, and a column per expression of the set with its number of images. No rows for a
        complete design, or where every identity has one image (photographs in the wild).
    """
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for photograph in photographs:
        counts[photograph.identity][photograph.expression] += 1
    columns = [e for e in (*BASIC, NEUTRAL) if any(e in cells for cells in counts.values())]
    in_the_wild = all(sum(cells.values()) == 1 for cells in counts.values())
    rows = [
        {"identity": identity} | {e: cells.get(e, 0) for e in columns}
        for identity, cells in counts.items()
        if not in_the_wild and any(cells.get(e, 0) != 1 for e in columns)
    ]
    schema = {"identity": pl.String} | dict.fromkeys(columns, pl.Int64)
    return pl.DataFrame(rows, schema=schema)


def doubled(photographs: Sequence[Photograph]) -> dict[tuple[str, str], list[Photograph]]:
    """Return the cells (identity and expression) that have several images."""
    cells: dict[tuple[str, str], list[Photograph]] = defaultdict(list)
    for photograph in photographs:
        cells[photograph.identity, photograph.expression].append(photograph)
    return {cell: images for cell, images in cells.items() if len(images) > 1}


def _settle(chosen: list[Photograph], doubles: str) -> list[Photograph]:
    cells = doubled(chosen)
    if doubles == "refuse" and cells:
        raise BadInput(
            f"{describe(cells)}: choose by an attribute{_differing(cells)}, "
            "or give --doubles first, or --doubles keep to register all of them."
        )
    if doubles == "first":
        first = {cell: images[0] for cell, images in cells.items()}
        return [p for p in chosen if first.get((p.identity, p.expression), p) is p]
    return chosen


def describe(cells: Mapping[tuple[str, str], Sequence[Photograph]]) -> str:
    """Say which cells have several images."""
    shown = [
        f"{expression} of {identity} ({', '.join(p.file for p in images[:2])})"
        for (identity, expression), images in list(cells.items())[:_NAMED]
    ]
    more = f" and {len(cells) - _NAMED} more" if len(cells) > _NAMED else ""
    count = f"{len(cells)} cell{'s have' if len(cells) > 1 else ' has'} more than one image"
    return f"{count}: {', '.join(shown)}{more}"


def _differing(cells: Mapping[tuple[str, str], Sequence[Photograph]]) -> str:
    """Name an attribute by which the images of the first cell differ, as an option."""
    one, two = next(iter(cells.values()))[:2]
    for key, value in one.attributes.items():
        if two.attributes.get(key, value) != value:
            return f" (--where {key}={value})"
    return ""


def _check_where(listed: Sequence[Photograph], where: Mapping[str, str]) -> None:
    known = {key: sorted({p.attributes[key] for p in listed if key in p.attributes}) for key in
             sorted({key for p in listed for key in p.attributes})}  # fmt: skip
    for key, value in where.items():
        if key not in known:
            raise BadInput(
                f"The images have no attribute {key!r} to filter by; "
                f"they have {', '.join(known) or 'none'}."
            )
        if value.casefold() not in {v.casefold() for v in known[key]}:
            values = ", ".join(known[key][:10])
            raise BadInput(f"No image has {key} {value!r}; there are {values}.")

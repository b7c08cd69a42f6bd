"""Is a layer ready to be analysed: all stimuli stored, and one image in each cell of the design?"""

from __future__ import annotations

from fexp_store import schemas
from fexp_store.errors import BadInput
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.place import Place

_NAMED = 6  # cells named in a message before it says how many more there are


def check_complete(wh: Warehouse, place: Place) -> None:
    """Check that every stimulus of the set is stored for a layer.

    Raises
    ------
    BadInput
        If some are missing; the message gives the command that stores them.
    NotFound
        If there is no such stimulus set.
    """
    read_set(wh, place.stimulus_set)
    query = schemas.sql("queries")["stored_stimuli"]
    counts = wh.frame(query, **place.columns)
    stored, in_set = counts.row(0)
    if stored != in_set:
        raise BadInput(
            f"{place.network} {place.layer} has {stored} of the {in_set} stimuli of "
            f"{place.stimulus_set}; run: fexp ingest {place.as_arguments}"
        )


def check_one_image_per_cell(wh: Warehouse, stimulus_set: str) -> None:
    """Check that each expression x identity cell of a set has exactly one image.

    Raises
    ------
    BadInput
        If a cell is empty or has several images; the message names the cells. Also if the set
        has fewer than two expressions or two identities.
    """
    faults = wh.frame("FROM design_faults($stimulus_set)", stimulus_set=stimulus_set)
    if not faults.is_empty():
        cells = [f"{e} of {i} ({n} images)" for e, i, n in faults.iter_rows()]
        more = f" and {len(cells) - _NAMED} more" if len(cells) > _NAMED else ""
        raise BadInput(
            f"The analysis of variance needs one image per expression and identity, and "
            f"{stimulus_set} has: {', '.join(cells[:_NAMED])}{more}."
        )
    rows = read_set(wh, stimulus_set)
    for factor in ("expression", "identity"):
        if rows[factor].n_unique() < 2:
            raise BadInput(f"{stimulus_set} has fewer than two levels of {factor}.")

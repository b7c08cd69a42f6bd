"""A user's own hypothesis as a result: what a query returned, stored with its run."""

from __future__ import annotations

from typing import Any

from fexp_store.errors import BadInput
from fexp_store.warehouse import Warehouse, runs, saved


def save(wh: Warehouse, name: str, query: str, parameters: dict[str, Any]) -> str:
    """Run a query and store its result, batch by batch, as the view ``saved.NAME``.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and underscores. Saving again under a name adds a run; the view
        shows the newest.
    query : str
        One SELECT; every column needs a name of its own.
    parameters : dict

    Returns
    -------
    str
        The run_id.

    Raises
    ------
    BadInput
        If the query is refused, has no rows, or has other columns than what is saved already.
    """
    saved.check(name)
    run = runs.begin(
        wh.storage, "query", {"name": name}, {"query": query, "parameters": parameters}
    )
    reader = wh.stream(query, parameters)
    if not saved.write(wh.storage, name, run.run_id, reader):
        raise BadInput("The query has no rows, so there is nothing to save.")
    runs.record_end(wh.storage, run)
    return run.run_id

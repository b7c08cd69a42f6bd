"""Whether the disk has room, asked before something long is written."""

from __future__ import annotations

from fexp_store.errors import FexpError
from fexp_store.warehouse.storage import Storage


def demand(
    storage: Storage,
    needed: int,
    what: str,
    advice: str = "free some space",
    *,
    free: int | None = None,
) -> None:
    """Refuse to begin what the disk cannot hold.

    Parameters
    ----------
    needed : int
        Bytes that are expected, at most.
    what : str
        What needs them, in words.
    free : int, optional
        Bytes that are free, where that is known already.

    Raises
    ------
    FexpError
        If fewer are free.
    """
    compare(storage.location, storage.free() if free is None else free, needed, what, advice)


def compare(place: str, free: int, needed: int, what: str, advice: str) -> None:
    """Refuse as `demand` does, on any disk."""
    if needed > free:
        raise FexpError(
            f"The disk of {place} has {free / 1e9:.2f} GB free and {what} needs "
            f"about {needed / 1e9:.2f} GB; {advice}."
        )

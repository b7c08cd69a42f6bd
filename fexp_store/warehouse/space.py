"""Whether the disk has room, asked before something long is written."""

from __future__ import annotations

from fexp_store.errors import FexpError
from fexp_store.warehouse.storage import Storage


def demand(storage: Storage, needed: int, what: str, advice: str = "free some space") -> None:
    """Refuse to begin what the disk cannot hold.

    Parameters
    ----------
    needed : int
        Bytes that are expected, at most.
    what : str
        What needs them, in words.

    Raises
    ------
    FexpError
        If fewer are free.
    """
    compare(storage.location, storage.free(), needed, what, advice)


def compare(place: str, free: int, needed: int, what: str, advice: str) -> None:
    """Refuse as `demand` does, on a disk of which it is known how many bytes are free."""
    if needed > free:
        raise FexpError(
            f"The disk of {place} has {free / 1e9:.2f} GB free and {what} needs "
            f"about {needed / 1e9:.2f} GB; {advice}."
        )

"""Progress as the library sees it: the command line draws it, or nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], None]
"""Called with the number of things done since its last call."""

Started = Callable[[int], Advance]
"""Called with the number of things to do, when that is known."""

Bar = Callable[[str], AbstractContextManager[Started]]
"""Makes a bar with a label."""


def silent(_total: int) -> Advance:
    """Draw nothing."""
    return lambda _n: None


@contextmanager
def no_bar(_label: str) -> Iterator[Started]:
    """Make a bar that draws nothing."""
    yield silent

"""Progress bars as the library sees them: the command line draws them, or nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from fexp_store.progress import Started

Bar = Callable[[str], AbstractContextManager[Started]]
"""Makes a bar with a label; within it, what starts it with a total and returns what advances it."""


@contextmanager
def no_bar(_label: str) -> Iterator[Started]:
    """Draw nothing."""
    yield lambda _total: lambda _n: None

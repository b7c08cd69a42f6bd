"""Linear algebra in threads of our own: one thread each, so that cores never change a number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_threads(function: Callable[..., Result], *arguments: Iterable[object]) -> Iterator[Result]:
    """Call a function with each of some arguments, as ``map`` does, in a thread for each core.

    Libraries of linear algebra sum in another order with another number of threads, and round
    otherwise; here they have one each.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, *arguments)

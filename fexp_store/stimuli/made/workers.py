"""Work on images in processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from fexp_store.errors import FexpError

Task = TypeVar("Task")
Done = TypeVar("Done")

MAX_WORKERS = 3
"""A renderer takes about 0.5 GB, so that more could need more than 2 GB together."""


@contextmanager
def spread(work: Callable[[Task], Done], tasks: Sequence[Task]) -> Iterator[Iterator[Done]]:
    """Run `work` on each task in spawned processes; give the results, in order.

    The processes end with the block, and what they have not begun is not done. VTK and
    torch each bring a copy of LLVM; in one process, whichever comes second can crash.

    Raises
    ------
    FexpError
        If a process dies.
    """
    workers = max(1, min(len(tasks), os.cpu_count() or 1, MAX_WORKERS))
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    try:
        yield pool.map(work, tasks)
    except BrokenProcessPool:
        raise FexpError(
            "The renderer (VTK) crashed; see whether pyvista can draw on this machine: "
            "python -c 'import pyvista; pyvista.Sphere().plot(off_screen=True)'"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this process when the one that it works for is killed, which nothing else tells it."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()

"""Locks between processes on a file: shared by many, or held alone. They end with the process."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fexp_store.errors import Conflict

# What a file system says that has no locks.
_LOCKLESS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


@contextmanager
def shared(path: str) -> Iterator[None]:
    """Hold the lock beside others, once nobody holds it alone.

    Where the file system has no locks this is without effect, and `alone` is refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)  # it may be another user's file
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError as error:
            if error.errno not in _LOCKLESS:
                raise
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(path: str, seconds: float, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold the lock while nobody else does.

    Parameters
    ----------
    seconds : float
        How long to wait for the others.
    waiting : callable
        Called once if that takes any time.

    Raises
    ------
    Conflict
        If somebody holds it still, or the file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # NFS: none alone without writing
    try:
        deadline, told = time.monotonic() + seconds, False
        while not _taken(descriptor):
            if time.monotonic() > deadline:
                raise Conflict(
                    "Other processes are writing to this warehouse, and nobody else can say which "
                    "files they need; try again when they have ended."
                )
            if not told:
                waiting()
                told = True
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise Conflict(
            f"The disk of this warehouse has no locks ({error.strerror}), so that nobody can say "
            "whether a process is writing to it; do this on a machine where the disk has some."
        ) from error
    return True

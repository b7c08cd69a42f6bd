"""A warehouse that can only be read, and processes to which that applies even if we are root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Another user, who may read everything (so also the interpreter) and write what others may write.
NOBODY = "65534"
AS_ANOTHER = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


def as_reader() -> list[str]:
    """What a command begins with so that permissions apply to it."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv")
    return list(AS_ANOTHER) if os.geteuid() == 0 else []


@contextmanager
def read_only(root: Path) -> Iterator[None]:
    """Nobody may write below a directory."""
    entries = [root, *root.rglob("*")]
    modes = {path: path.stat().st_mode for path in entries}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)

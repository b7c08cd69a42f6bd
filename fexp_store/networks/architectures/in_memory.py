"""A module of this process as an architecture: it has no name by which it could be built again."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from fexp_store.causes import first_line
from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.architecture import Architecture, preprocessing_of
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.warehouse.networks import UNKNOWN, Registered

_PREFIX = "python:"
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_OF_TORCH = ("torch",)  # packages whose classes have names that say enough


_held: dict[tuple[str, str], Architecture] = {}  # by architecture and SHA-256 of the weights


def given(module: nn.Module, preprocessing: Preprocessing | Mapping[str, Any]) -> Architecture:
    """Describe a copy of a module as an architecture; the module itself is left as it is.

    Raises
    ------
    BadInput
        If it is no module, is TorchScript or cannot be copied, or the preprocessing cannot be used.
    """
    if not isinstance(module, nn.Module):
        raise BadInput(f"A network is an nn.Module, not a {type(module).__name__}.")
    module = _unwrapped(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise BadInput(
            "A module of TorchScript does not say what its layers put out; add the nn.Module that "
            "it was made of."
        )
    kind = f"{type(module).__module__}.{type(module).__qualname__}"
    if not isinstance(preprocessing, Preprocessing):
        preprocessing = preprocessing_of(preprocessing, kind)
    with _told(kind):
        held = copy.deepcopy(module).cpu().eval().requires_grad_(requires_grad=False)
    return Architecture(
        name=f"{_PREFIX}{kind}@{_digest(held)}",
        build=lambda: held,
        layers={path: path for path, _ in held.named_modules() if path},
        preprocessing=preprocessing,
        training=UNKNOWN,
        read_weights=_no_file,
        code="memory",
        channels_last=False,
        told=partial(_told, kind),
    )


def keep(architecture: Architecture, row: Registered) -> None:
    """Keep what was registered, for as long as the process runs."""
    _held.setdefault((row.architecture, row.weights_sha256), architecture)


def is_in_memory(name: str) -> bool:
    """Whether a registered architecture is a module that was added from Python."""
    return name.startswith(_PREFIX)


def kept(row: Registered) -> Architecture:
    """Return what was added in this process.

    Raises
    ------
    NotFound
        If it was added in another one.
    """
    found = _held.get((row.architecture, row.weights_sha256))
    if found is None:
        raise NotFound(
            f"{row.network} is a module that was added from Python, and is not in this process; "
            f"add the same module here again: fexp_store.networks.add(wh, {row.network!r}, module, "
            "preprocessing=…)"
        )
    return found


def _unwrapped(module: nn.Module) -> nn.Module:
    """Take off what only says how a module runs: torch.compile, DataParallel."""
    module = getattr(module, "_orig_mod", module)
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    return module.module if isinstance(module, parallel) else module


def _digest(module: nn.Module) -> str:
    """Hash what a module is besides its weights: its structure, and the sources of its classes."""
    digest = sha256(_ADDRESS.sub("", repr(module)).encode())
    classes = {f"{c.__module__}.{c.__qualname__}": c for c in map(type, module.modules())}
    for name, cls in sorted(classes.items()):
        if name.partition(".")[0] in _OF_TORCH:
            continue
        try:
            source = inspect.getsource(cls)
        except (OSError, TypeError):  # made where there is no file
            source = ""
        digest.update(f"\0{name}\0{source}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@contextmanager
def _told(kind: str) -> Iterator[None]:
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        said = first_line(error)
        raise BadInput(
            f"{kind} cannot be used as it is: {type(error).__name__}{': ' * bool(said)}{said}."
        ) from None


def _no_file(path: Path, module: nn.Module, *, channels: str, size: int) -> NoReturn:
    raise BadInput("A module that is added from Python has its weights; load them into it before.")

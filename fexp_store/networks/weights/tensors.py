"""The named tensors of a PyTorch or safetensors file, whatever they are wrapped in."""

from __future__ import annotations

import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from fexp_store.errors import BadInput

_WRAPPED_AGAIN = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod)\.")
"""What DataParallel and torch.compile put into the names of what they wrap, anywhere."""

_AVERAGED = re.compile(r"(^|[._])(ema|averaged|swa)([._]|$)|_ema")
_DEEPEST = 12  # mappings in mappings


@dataclass(frozen=True)
class Tensors:
    """What a file holds.

    Parameters
    ----------
    found : mapping of str to tensor
        Dense tensors on the CPU; one in a mapping in a mapping is named with dots between.
    metadata : mapping of str to mapping
        What PyTorch keeps beside a state dict, the versions of its modules: by what stands before
        the names of the state dict's tensors.
    """

    found: Mapping[str, torch.Tensor]
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def load_tensors(path: Path, kind: str) -> Tensors:
    """Load what ``torch.save`` or safetensors wrote, without running anything that is in the file.

    Parameters
    ----------
    path : Path
    kind : {"torch", "safetensors"}

    Raises
    ------
    BadInput
        The file is damaged, or holds objects besides tensors: none is ever unpickled.
    """
    if kind == "safetensors":
        try:
            return Tensors(safetensors.torch.load_file(path))
        except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
            raise BadInput("is cut short or damaged: its safetensors header is wrong.") from error
    content = _unpickled(path)
    if not isinstance(content, Mapping):
        raise BadInput(f"holds a {type(content).__name__}, not a state dict of named tensors.")
    metadata: dict[str, Mapping[str, Any]] = {}
    return Tensors(dict(_flat(content, "", metadata, 0)), metadata)


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "unsupported" in str(error).lower():
            named = re.search(r"GLOBAL ([\w.]+)", str(error))
            what = f" ({named[1]})" if named else ""
            raise BadInput(
                f"holds Python code or objects besides tensors{what}, as a whole pickled model "
                "does, and none of it was run; save only the model's state_dict() with the "
                "program that wrote it."
            ) from error
        raise BadInput("is cut short or damaged: its pickle cannot be read.") from error
    # A damaged file meets whichever of PyTorch's, pickle's and zip's many errors comes first.
    except Exception as error:
        raise BadInput("is cut short or damaged: PyTorch cannot read it.") from error


def _flat(
    content: Mapping[Any, Any], before: str, metadata: dict[str, Mapping[str, Any]], depth: int
) -> Iterator[tuple[str, torch.Tensor]]:
    versions = getattr(content, "_metadata", None)
    if isinstance(versions, Mapping):
        metadata[before] = versions
    for key, value in content.items():
        if not isinstance(key, str):
            continue
        if isinstance(value, torch.Tensor) and _is_dense(value):
            yield before + key, value.detach()
        elif isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _flat(value, f"{before}{key}.", metadata, depth + 1)


def _is_dense(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type == "cpu"


@dataclass(frozen=True)
class Chosen:
    """The tensors of a file that are of one module.

    Parameters
    ----------
    state : OrderedDict of str to tensor
        Under the names that follow `before`; with the file's ``_metadata``, where it has one.
    before : str
        What stands before their names in the file: wrappers and prefixes.
    others : tuple of str
        Names of the tensors that are under another prefix.
    """

    state: OrderedDict[str, torch.Tensor]
    before: str
    others: tuple[str, ...]


def choose(tensors: Tensors, names: Collection[str]) -> Chosen:
    """Find the module's tensors in a file by their names, whatever stands before them.

    The prefix is that under which most of the module's names are found. Averaged weights (``ema``)
    are taken only where there are no others.

    Parameters
    ----------
    tensors : Tensors
    names : collection of str
        Of the module's parameters and buffers.

    Raises
    ------
    BadInput
        Two prefixes have as many of the names, so that nothing says which is meant.
    """
    known = frozenset(names)
    plain = any(_WRAPPED_AGAIN.search(name) for name in known)
    found = {name if plain else _WRAPPED_AGAIN.sub("", name): name for name in tensors.found}
    under: dict[str, set[str]] = {}
    for name in found:
        for before, after in _splits(name):
            if after in known:
                under.setdefault(before, set()).add(name)
    most = max(map(len, under.values()), default=0)
    # An alias may be another with something before it: then both are of the same tensors.
    best = {frozenset(names): before for before, names in under.items() if len(names) == most}
    first = [before for before in best.values() if not _AVERAGED.search(before)]
    first = first or list(best.values())
    if len(first) > 1:
        shown = " and ".join(repr(before.rstrip(".")) for before in sorted(first)[:2])
        raise BadInput(
            f"holds weights of more than one such network, under {shown}; save the state dict of "
            "the one that you mean."
        )
    before = first[0] if first else ""
    state = OrderedDict(
        (name.removeprefix(before), tensors.found[stored])
        for name, stored in found.items()
        if name.startswith(before)
    )
    versions = _versions(tensors.metadata, before)
    if versions:
        state._metadata = versions  # type: ignore[attr-defined]  # as torch itself does
    others = tuple(stored for name, stored in found.items() if not name.startswith(before))
    return Chosen(state, before, others)


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield each way to divide a name into what stands before it and the rest."""
    yield "", name
    for at, character in enumerate(name):
        if character == ".":
            yield name[: at + 1], name[at + 1 :]


def _versions(metadata: Mapping[str, Mapping[str, Any]], before: str) -> OrderedDict[str, Any]:
    """Return the versions of a module's parts by their paths in the module."""
    found: OrderedDict[str, Any] = OrderedDict()
    for wrapper, versions in metadata.items():
        for path, version in versions.items():
            whole = _WRAPPED_AGAIN.sub("", f"{wrapper}{path}.")
            if whole.startswith(before):
                found[whole.removeprefix(before).rstrip(".")] = version
    return found

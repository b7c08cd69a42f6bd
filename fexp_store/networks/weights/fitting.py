"""Setting the weights of a module from a file that has all of its body, but maybe another head."""

from __future__ import annotations

import sys
import warnings
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import nn

from fexp_store.errors import BadInput
from fexp_store.networks.meta import on_meta
from fexp_store.networks.weights.formats import format_of
from fexp_store.networks.weights.tensors import Chosen, choose, load_tensors


class FromFile(NamedTuple):
    """What was set from a file.

    Parameters
    ----------
    origin : str
        What the file is of, by which its architecture knows the input that it takes.
    absent : tuple of str
        Paths of the modules that the file has no weights for; `Absent` stands there now.
    left_out : tuple of str
        Names of the file's tensors that were not used, those of one part together.
    mean : tuple of 3 floats, optional
        What the file says is to be subtracted of R, G and B, on the 0–255 scale.
    """

    origin: str
    absent: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    mean: tuple[float, float, float] | None = None


class AbsentError(RuntimeError):
    """A module was called whose weights are not there."""


class Absent(nn.Module):
    """Stands where a file has no weights; refuses to run."""

    def forward(self, *_: Any) -> torch.Tensor:
        """Raise AbsentError."""
        raise AbsentError("The weights of this part of the network are not there.")


def remove(module: nn.Module, paths: Iterable[str]) -> None:
    """Put `Absent` in the place of some submodules."""
    for path in paths:
        parent, _, name = path.rpartition(".")
        module.get_submodule(parent).register_module(name, Absent())


def fit(path: Path, module: nn.Module, *, network: str, size: int) -> FromFile:
    """Set a module's weights from a PyTorch or safetensors file, by the module's own hooks.

    What may be missing or of another shape is the head, which is the last of the module's parts
    that a forward pass runs, but for kernels of more than one pixel; and parts that it does not
    run, such as auxiliary classifiers.

    Parameters
    ----------
    path : Path
    module : nn.Module
        Whose weights are set, and whose absent parts are replaced, in place.
    network : str
        What messages call it.
    size : int
        Side of the input in pixels.

    Raises
    ------
    BadInput
        The file is damaged, holds code, or its tensors do not fit the module's body.
    """
    try:
        kind = format_of(path)
        if kind not in ("torch", "safetensors"):
            raise BadInput(
                f"is of the format {kind}, in which {network} is not read; give a state dict "
                "(.pth, .pt) or .safetensors."
            )
        chosen = choose(load_tensors(path, kind), module.state_dict().keys())
        return _fit(chosen, _Order(module, size), network)
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error


class _Order:
    """The parts of a module, in the order in which a forward pass comes to them."""

    def __init__(self, module: nn.Module, size: int) -> None:
        self.module = module
        self.run = run_order(module, size)
        called = set(self.run)
        self.parts = [path for path in self.run if _owns_tensors(module.get_submodule(path))]
        self._called = called | {""}

    @property
    def head(self) -> str:
        """Path of the last part, as high up as it holds that alone."""
        head = ""
        while True:
            below = [path for path in self.parts if _is_in(path, head) and path != head]
            children = list(dict.fromkeys(_child(head, path) for path in below))
            if not children:
                return head
            head = children[-1]
            if len(children) > 1:
                return head

    def is_run(self, path: str) -> bool:
        """Whether a forward pass may use a part: it, or what it is in, is called.

        The root alone does not count, as auxiliary classifiers are in it too.
        """
        while path:
            if path in self._called:
                return True
            path = path.rpartition(".")[0]
        return False


def run_order(module: nn.Module, size: int) -> list[str]:
    """Return the paths of the submodules that a forward pass calls, in order.

    Nothing is computed where a copy can run on the ``meta`` device.

    Parameters
    ----------
    module : nn.Module
    size : int
        Side of the input in pixels.
    """
    try:
        return _order(on_meta(module), torch.empty(1, 3, size, size, device="meta"))
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return _order(module, torch.zeros(1, 3, size, size))


def _order(module: nn.Module, x: torch.Tensor) -> list[str]:
    called: dict[str, None] = {}
    handles = [
        part.register_forward_pre_hook(lambda _m, _i, path=path: called.setdefault(path))
        for path, part in module.named_modules()
        if path
    ]
    training = module.training
    try:
        with torch.inference_mode():
            module.eval()(x)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    return list(called)


def _fit(chosen: Chosen, order: _Order, network: str) -> FromFile:
    module, state = order.module, chosen.state
    _rename_as_library(module, state)
    loaded = _load(module, state)
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    misfits = [n for n in shapes if n in state and tuple(state[n].shape) != shapes[n]]
    for name in misfits:
        _check_may_lack(name, state[name], shapes[name], order, network)
    if isinstance(loaded, str):
        loaded = _load(module, _without(state, misfits))
    if isinstance(loaded, str):
        raise BadInput(f"is of another network than {network}: {loaded}.")
    missing = [name for name in loaded[0] if not name.endswith("num_batches_tracked")]
    for name in missing:
        if name not in misfits:
            _check_may_lack(name, None, shapes[name], order, network)
    _check_extra(loaded[1], state, order, network)
    owners = sorted({name.rpartition(".")[0] for name in missing})
    first = min((order.parts.index(x) for x in owners if x in order.parts), default=None)
    if first == 0:
        raise BadInput(f"has no part of {network}.")
    after = order.parts[first:] if first is not None else []
    absent = [path for path in dict.fromkeys([*after, *owners]) if path]
    remove(module, absent)
    unused = [
        name
        for name in state
        if name in (*misfits, *loaded[1]) or any(_is_in(name, path) for path in absent)
    ]
    return FromFile("module", tuple(absent), tuple(summary([*unused, *chosen.others])))


def _without(
    state: OrderedDict[str, torch.Tensor], names: Collection[str]
) -> OrderedDict[str, torch.Tensor]:
    kept = OrderedDict((name, value) for name, value in state.items() if name not in names)
    if hasattr(state, "_metadata"):
        kept._metadata = state._metadata  # type: ignore[attr-defined]
    return kept


def _check_may_lack(
    name: str,
    found: torch.Tensor | None,
    shape: tuple[int, ...],
    order: _Order,
    network: str,
) -> None:
    """Refuse what is missing or has another shape in the body."""
    owner = name.rpartition(".")[0]
    in_head = bool(order.head) and _is_in(owner, order.head)
    kernel = max(shape[2:], default=1) > 1
    if (owner and not order.is_run(owner)) or (in_head and not (found is not None and kernel)):
        return
    if found is None:
        raise BadInput(f"lacks {name}, so it is not {network}.")
    raise BadInput(
        f"is of another network than {network}: {name} has shape {tuple(found.shape)}, "
        f"where {shape} is expected."
    )


def _check_extra(
    names: Sequence[str], state: Mapping[str, torch.Tensor], order: _Order, network: str
) -> None:
    """Refuse parameters that are more body; other heads, and what is no number, are left out."""
    for name in names:
        value = state.get(name)
        if value is None or not value.is_floating_point():
            continue
        there = _deepest(order.module, name)
        beside = _is_in(order.head, there) or _is_in(there, order.head)
        if not beside or max(value.shape[2:], default=1) > 1:
            raise BadInput(f"holds a parameter {name!r}, which {network} does not have.")


def _deepest(module: nn.Module, name: str) -> str:
    """Return the path of the deepest submodule that a name of a tensor leads to."""
    path = ""
    for part in name.split(".")[:-1]:
        children = dict(module.get_submodule(path).named_children())
        if part not in children:
            break
        path = f"{path}.{part}" if path else part
    return path


def _rename_as_library(module: nn.Module, state: OrderedDict[str, torch.Tensor]) -> None:
    """Rename old keys in place by the function that the module's library has for its own files.

    torchvision's densenet has one, beside the hooks that `load_state_dict` calls by itself.
    """
    rename = getattr(sys.modules.get(type(module).__module__), "_load_state_dict", None)
    if rename is not None:
        weights = SimpleNamespace(get_state_dict=lambda **_: state)
        with suppress(RuntimeError):  # something does not fit, which is looked at next
            rename(model=module, weights=weights, progress=False)


def _load(
    module: nn.Module, state: OrderedDict[str, torch.Tensor]
) -> tuple[list[str], list[str]] | str:
    """Set what fits, by the module's own hooks.

    Returns
    -------
    tuple of list of str, or str
        Names that the file lacks, and names that the module does not have; or why it cannot be
        told, because a shape does not fit.
    """
    versions = [getattr(state, "_metadata", None), getattr(module.state_dict(), "_metadata", None)]
    why = "its version is unknown"
    for version in versions:
        loaded = OrderedDict(state)
        if version is not None:
            loaded._metadata = version  # type: ignore[attr-defined]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the file is of an earlier version
            try:
                found = module.load_state_dict(loaded, strict=False)
                return list(found.missing_keys), list(found.unexpected_keys)
            except ValueError as error:  # it must know its version, and the file does not tell
                why = str(error)
            except RuntimeError as error:
                return " ".join(str(error).split())[:200]
    return why


def summary(names: Iterable[str]) -> Iterator[str]:
    """Name tensors, or the part that they are of where it has more than three."""
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.partition(".")[0], []).append(name)
    for part, members in parts.items():
        if len(members) > 3:
            yield f"{part}.* ({len(members)} tensors)"
        else:
            yield from members


def _owns_tensors(part: nn.Module) -> bool:
    return bool([*part.parameters(recurse=False), *part.buffers(recurse=False)])


def _is_in(path: str, outer: str) -> bool:
    return not outer or path == outer or path.startswith(f"{outer}.")


def _child(outer: str, path: str) -> str:
    """Return the path of the child of `outer` that `path` is in."""
    rest = path[len(outer) + 1 :] if outer else path
    return f"{outer}.{rest.partition('.')[0]}" if outer else rest.partition(".")[0]

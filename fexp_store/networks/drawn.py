"""Drawn weights that this user of this machine keeps, so that a network is drawn once.

They are in the user's own cache, one safetensors file for each network, named by how it was drawn
and by the hash of the weights' content. A file is believed once its whole content has that hash;
then it is remembered by size, times and inode, as files of activations are
(`fexp_store.warehouse.checked`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from fexp_store.errors import BadInput, FexpError
from fexp_store.networks.initialise import weights_sha256
from fexp_store.warehouse import checked
from fexp_store.warehouse.storage import LocalStorage, cache_folder

DEFAULT_MIB = 2048
"""Size of all files together, where the environment's ``FEXP_CACHE_WEIGHTS`` says no other."""

_ENDING = ".safetensors"
# What goes wrong in a cache: no right, no room, other bytes, links, tensors that share memory.
_WRONG = (OSError, FexpError, safetensors.SafetensorError, RuntimeError, ValueError, KeyError)


def kept(build: Callable[[], nn.Module], how: str, digest: str) -> nn.Module | None:
    """Build a network with weights that were kept, mapped into memory and not copied.

    Parameters
    ----------
    build : callable
        Returns the module; under the meta device it allocates nothing.
    how : str
        What was drawn: architecture, scheme and seed.
    digest : str
        What `weights_sha256` gives for its weights.

    Returns
    -------
    nn.Module or None
        In evaluation mode, without gradients; None if they are not kept. A file with other content
        is deleted.
    """
    path = _name(how, digest)
    try:
        storage = _storage()
        before = storage.signatures([path])
        if not before:
            return None
        try:
            state = safetensors.torch.load_file(storage.uri(path))
            known = checked.matching(storage, before) == {path: digest}
            right = known or weights_sha256(state) == digest
        except _WRONG:
            right = False
        if not right:
            storage.delete(path)
            return None
        if storage.signatures([path]) != before:  # swapped since
            return None
        if not known:
            checked.remember(storage, {path: digest})
        return _with(build, state)
    except _WRONG:
        return None


def keep(module: nn.Module, how: str, digest: str) -> None:
    """Keep the weights of a network, whole or not at all; what cannot be kept is drawn again.

    The oldest files make room: all together are at most ``FEXP_CACHE_WEIGHTS`` MiB.

    Raises
    ------
    BadInput
        If that is no whole number.
    """
    most = _most_bytes()
    state = {name: value.detach().contiguous() for name, value in module.state_dict().items()}
    size = sum(value.nbytes for value in state.values())
    path = _name(how, digest)
    try:
        storage = _storage()
        if size > min(most, storage.free()) or storage.exists(path):
            return
        with storage.lock("drawn"):
            if not storage.exists(path):
                _make_room(storage, most - size)
                with storage.replacing(path) as temporary:
                    safetensors.torch.save_file(state, temporary)
                    _sync(temporary)
    except _WRONG:
        return


def _name(how: str, digest: str) -> str:
    return f"{sha256(f'{how} {digest}'.encode()).hexdigest()}{_ENDING}"


def _most_bytes() -> int:
    said = os.environ.get("FEXP_CACHE_WEIGHTS", "")
    if said and not (said.isascii() and said.isdigit() and len(said) < 10):
        raise BadInput(
            f"FEXP_CACHE_WEIGHTS is {said!r}; set it to a whole number of MiB, 0 to keep none."
        )
    return int(said or DEFAULT_MIB) << 20


def _storage() -> LocalStorage:
    storage = LocalStorage(str(cache_folder() / "weights"))
    storage.make()
    return storage


def _make_room(storage: LocalStorage, most: int) -> None:
    """Delete what a kill left, and the oldest files until the others have at most so many bytes."""
    names = storage.names()
    for name in filter(storage.temporary, names):
        storage.delete(name)
    found = storage.signatures(name for name in names if name.endswith(_ENDING))
    total = sum(signature.size for signature in found.values())
    for name in sorted(found, key=lambda name: found[name].modified):
        if total <= most:
            break
        storage.delete(name)
        total -= found[name].size


def _sync(path: str) -> None:
    with Path(path).open("rb+") as file:
        os.fsync(file.fileno())


def _with(build: Callable[[], nn.Module], state: Mapping[str, torch.Tensor]) -> nn.Module:
    with torch.device("meta"):
        module = build()
    module.load_state_dict(state, assign=True)
    if any(value.is_meta for value in (*module.parameters(), *module.buffers())):
        module = build()  # it has values that are no part of its state
        module.load_state_dict(state, assign=True)
    return module.eval().requires_grad_(requires_grad=False)

"""Networks: their architectures, weights, layers and how an image becomes their input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from fexp_store.networks.preprocessing import Preprocessing
    from fexp_store.warehouse import Warehouse

__all__ = ["add"]


def add(
    wh: Warehouse,
    name: str,
    module: nn.Module,
    *,
    preprocessing: Preprocessing | Mapping[str, Any],
    training: str | None = None,
    group: str | None = None,
    licence: str | None = None,
    citation: str | None = None,
) -> bool:
    """Register any module of PyTorch as a network under a short name.

    What is kept is a copy of the module as it is now, in evaluation mode on the CPU; the module
    itself is left as it is, and may be trained on. In this process `fexp_store.ingest.ingest` runs
    the copy. In another, add the same module under the same name first: nothing of the module but
    what it is called, its layers and hashes is stored.

    It is the same module if its weights, its structure (its ``repr``) and the source of its
    classes that `inspect` finds are the same, classes of torch itself excepted. Functions that
    its classes call, and attributes that are neither weights nor buffers nor in its ``repr``, are
    not compared.

    Parameters
    ----------
    wh : Warehouse
    name : str
    module : nn.Module
        Takes images of shape (n_images, 3, size, size), float32. Wrappers of ``torch.compile``
        and ``nn.DataParallel`` are taken off.
    preprocessing : Preprocessing or mapping
        How an image becomes its input: a mapping has its fields, size, mean and std at least.
    training : str, optional
        What it was trained on, in words; unknown by default.
    group : str, optional
        Name shared by replicates; by default the network's own.
    licence, citation : str, optional
        Of its weights.

    Returns
    -------
    bool
        False if this very network was registered under this name before; it can now be run.

    Raises
    ------
    BadInput
        If it cannot be copied or run on an image, or the preprocessing cannot be used.
    Conflict
        If the name is taken by a network with other content.
    """
    # torch takes seconds to import, and most commands need none.
    from fexp_store.networks.records import Options
    from fexp_store.networks.registry import add_module

    options = Options(group=group, licence=licence, citation=citation, training=training)
    return add_module(wh, name, module, preprocessing, options)

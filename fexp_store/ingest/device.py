"""Where and in which arithmetic the forward pass runs: the only place that knows about devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fexp_store.errors import BadInput

Deliver = Callable[[str, torch.Tensor], None]


@dataclass(frozen=True)
class Device:
    """A device with the arithmetic to use on it.

    Parameters
    ----------
    name : {"cpu", "cuda", "mps"}
    precision : {"fp32", "tf32", "bf16"}
        ``fp32`` is IEEE single precision everywhere; ``tf32`` lets a CUDA device round the inputs
        of products to 10 bits of mantissa; ``bf16`` runs under autocast.
    """

    name: str
    precision: str

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """Set torch's arithmetic for the time of a forward pass, and set it back."""
        before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        autocast = (
            torch.autocast(self.name, torch.bfloat16) if self.precision == "bf16" else nullcontext()
        )
        try:
            with autocast:
                yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.backends.cudnn.allow_tf32 = before[1]

    def place(self, module: torch.nn.Module, *, channels_last: bool = True) -> torch.nn.Module:
        """Move a module here, in the memory order that convolutions run fastest in."""
        module = module.to(self.name)
        return module.to(memory_format=torch.channels_last) if channels_last else module

    def upload(self, pixels: NDArray[np.uint8], *, channels_last: bool = True) -> torch.Tensor:
        """Copy pixels of shape (n_images, 3, size, size) here; on CUDA without waiting for it."""
        tensor = torch.from_numpy(pixels)
        if self.name == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.name, non_blocking=self.name == "cuda").contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )


class Download:
    """The responses of one batch on their way to the host.

    On a CUDA device they are staged in pinned memory and handed on by `finish`, so that the device
    computes the next batch meanwhile; elsewhere, and where they are too large to be staged, each is
    handed on as soon as it is there, so that no two have to be kept.

    Parameters
    ----------
    device : Device
    deliver : callable
        Called with a layer and its responses, a tensor of shape (n_images, ...).
    staging : int
        Bytes that may be staged.
    """

    def __init__(self, device: Device, deliver: Deliver, staging: int) -> None:
        self._deliver = deliver
        self._room = staging if device.name == "cuda" else 0
        self._staged: dict[str, torch.Tensor] = {}
        self._event: torch.cuda.Event | None = None

    def take(self, layer: str, response: torch.Tensor) -> None:
        """Take a response from the network, which may then forget it."""
        size = 4 * response.numel()
        if size > self._room:
            self._deliver(layer, response)
            return
        self._room -= size
        # In float32 and row-major before it travels, so that the copy is one block.
        self._staged[layer] = torch.empty(response.shape, pin_memory=True).copy_(
            response.float().contiguous(), non_blocking=True
        )

    @property
    def travels(self) -> bool:
        """Whether something is staged that was not handed on."""
        return bool(self._staged)

    def sent(self) -> None:
        """Note that all responses have been taken."""
        if self._staged:
            self._event = torch.cuda.current_stream().record_event()

    def finish(self) -> None:
        """Wait for what is staged, and hand it on."""
        if self._event is not None:
            self._event.synchronize()
        for layer in list(self._staged):
            self._deliver(layer, self._staged.pop(layer))


def choose(device: str, precision: str) -> Device:
    """Choose the device to run on.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}
        ``auto`` takes the first of cuda, mps and cpu that is there.
    precision : {"fp32", "tf32", "bf16"}

    Raises
    ------
    BadInput
        If the device is not there, or does not have that precision.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    name = next(d for d, found in there.items() if found) if device == "auto" else device
    if not there[name]:
        raise BadInput(f"No {name} device is there for torch; use --device auto.")
    if precision == "tf32" and name != "cuda":
        raise BadInput("The precision tf32 needs a cuda device.")
    return Device(name, precision)

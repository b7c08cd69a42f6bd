"""Where and in which arithmetic the forward pass runs: the only place that knows about devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fexp_store.errors import BadInput


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

    def place(self, module: torch.nn.Module) -> torch.nn.Module:
        """Move a module here, in the memory order that convolutions run fastest in."""
        return module.to(self.name).to(memory_format=torch.channels_last)

    def upload(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """Copy pixels of shape (n_images, 3, size, size) here; on CUDA without waiting for it."""
        tensor = torch.from_numpy(pixels)
        if self.name == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.name, non_blocking=self.name == "cuda").contiguous(
            memory_format=torch.channels_last
        )

    def download(
        self, activations: Mapping[str, torch.Tensor], rows: Mapping[str, NDArray[np.float32]]
    ) -> Download:
        """Begin to copy activations to the host.

        Parameters
        ----------
        activations : mapping of str to tensor of shape (n_images, ...)
        rows : mapping of str to ndarray of shape (n_images, n_units), float32
            Where they go, row-major (channel, row, col), whatever their memory order is; whole
            once the download is finished.
        """
        targets = {
            key: torch.from_numpy(rows[key]).view(value.shape) for key, value in activations.items()
        }
        if self.name != "cuda":
            for key, value in activations.items():
                targets[key].copy_(value)
            return Download({}, targets, None)
        staged = {
            # In float32 and row-major before it travels, so that the copy is one block.
            key: torch.empty(value.shape, pin_memory=True).copy_(
                value.float().contiguous(), non_blocking=True
            )
            for key, value in activations.items()
        }
        event = torch.cuda.current_stream().record_event()
        return Download(staged, targets, event)


@dataclass(frozen=True)
class Download:
    """Responses on their way to the host; a CUDA device computes the next batch meanwhile."""

    staged: Mapping[str, torch.Tensor]
    targets: Mapping[str, torch.Tensor]
    event: torch.cuda.Event | None

    def finish(self) -> None:
        """Wait for the copy; the rows that `Device.download` was given are then whole."""
        if self.event is not None:
            self.event.synchronize()
            for key, value in self.staged.items():
                self.targets[key].copy_(value)


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

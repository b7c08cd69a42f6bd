"""Running a network on batches, with as many images at once as the device has memory for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from fexp_store.errors import FexpError
from fexp_store.ingest.device import Deliver, Device, Download
from fexp_store.networks.forward import run_layers
from fexp_store.networks.registry import Network


class Forward:
    """A network on a device.

    Parameters
    ----------
    net : Network
    device : Device
    staging : int
        Bytes of a batch's responses that may be staged on their way from a CUDA device.
    """

    def __init__(self, net: Network, device: Device, staging: int) -> None:
        self._net, self._device, self._staging = net, device, staging
        self._module = device.place(net.module, channels_last=net.channels_last)
        self._at_once: int | None = None

    def run(
        self,
        pixels: NDArray[np.uint8],
        layers: Iterable[str],
        deliver: Callable[[int, str, torch.Tensor], None],
    ) -> list[Download]:
        """Run a batch; where the device's memory does not hold it, in halves, from then on.

        Parameters
        ----------
        pixels : ndarray of shape (n_images, channels, size, size), uint8
        deliver : callable
            Called with the number of a first image, a layer and the responses to the images from
            there on, of shape (n, ...). Some may be delivered more than once.

        Returns
        -------
        list of Download
            Everything is delivered once each of them is finished.

        Raises
        ------
        FexpError
            If the device's memory does not even hold one image.
        """
        paths = {layer: self._net.paths[layer] for layer in layers}
        downloads: list[Download] = []
        done = 0
        while done < len(pixels):
            part = pixels[done : done + (self._at_once or len(pixels))]
            share = self._staging * len(part) // len(pixels)
            download = self._attempt(part, paths, partial(deliver, done), share)
            if download is None:
                self._halve(len(part))
            else:
                downloads.append(download)
                done += len(part)
        return downloads

    def _attempt(
        self, pixels: NDArray[np.uint8], paths: dict[str, str], deliver: Deliver, staging: int
    ) -> Download | None:
        download = Download(self._device, deliver, staging)
        try:
            with self._device.arithmetic():
                there = self._device.upload(pixels, channels_last=self._net.channels_last)
                x = self._net.preprocessing.normalise(there)
                run_layers(self._module, paths, x, download.take)
        except torch.OutOfMemoryError:
            return None
        download.sent()
        return download

    def _halve(self, images: int) -> None:
        if images == 1:
            raise FexpError(
                f"The memory of the device {self._device.name} does not hold the network with one "
                "image; free some of it, or run with --device cpu."
            )
        self._at_once = images // 2
        if self._device.name == "cuda":
            torch.cuda.empty_cache()

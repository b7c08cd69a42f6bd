"""Batches of pixels, decoded by threads ahead of the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.stimuli import images
from fexp_store.warehouse.storage import Storage


def batches(
    storage: Storage,
    stimuli: Sequence[dict[str, Any]],
    preprocessing: Preprocessing,
    batch_size: int,
    workers: int,
) -> Generator[NDArray[np.uint8], None, None]:
    """Decode registered stimuli in order, a few batches ahead of whoever consumes them.

    Threads, not processes: Pillow releases the interpreter's lock while it decodes and resizes,
    and a process forked beside the thread pools of DuckDB and Delta could hang.

    Parameters
    ----------
    stimuli : sequence of dict
        Rows of the view ``stimuli``.
    batch_size, workers : int
        Images in a batch, and threads that decode.

    Yields
    ------
    ndarray of shape (n_images, 3, size, size), uint8

    Raises
    ------
    BadInput
        If an image is missing, has changed since it was registered, or cannot be decoded.
    """
    image_roots = images.roots(storage)

    def decode(stimulus: dict[str, Any]) -> NDArray[np.uint8]:
        content = images.read_registered(storage, stimulus, image_roots)
        name = f"Stimulus {stimulus['stimulus_id']} of {stimulus['stimulus_set']}"
        return preprocessing.pixels(images.decode(content, name))

    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        ahead: deque[Future[NDArray[np.uint8]]] = deque()
        waiting = iter(stimuli)
        for first in range(0, len(stimuli), batch_size):
            n_images = min(batch_size, len(stimuli) - first)
            while len(ahead) < n_images + 2 * batch_size and (row := next(waiting, None)):
                ahead.append(pool.submit(decode, row))
            yield np.stack([ahead.popleft().result() for _ in range(n_images)])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

"""Batches of pixels, decoded by threads ahead of the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.stimuli import images
from fexp_store.warehouse.storage import Storage

_AHEAD = 2


def batches(
    storage: Storage,
    batches: Iterable[Sequence[dict[str, Any]]],
    preprocessing: Preprocessing,
    workers: int,
) -> Generator[NDArray[np.uint8], None, None]:
    """Decode batches of registered stimuli, a few ahead of whoever consumes them.

    Threads, not processes: Pillow releases the interpreter's lock while it decodes and resizes,
    and a process forked beside the thread pools of DuckDB and Delta could hang.

    Parameters
    ----------
    batches : iterable of sequence of dict
        Rows of the view ``stimuli``.
    workers : int
        Threads that decode.

    Yields
    ------
    ndarray of shape (n_images, channels, size, size), uint8

    Raises
    ------
    BadInput
        If an image has changed since it was registered, or cannot be decoded.
    NotFound
        If an image is missing.
    """
    decode = partial(pixels, storage, images.roots(storage), preprocessing)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        ahead: deque[list[Future[NDArray[np.uint8]]]] = deque()
        for stimuli in batches:
            ahead.append([pool.submit(decode, stimulus) for stimulus in stimuli])
            if len(ahead) > _AHEAD:
                yield _stacked(ahead.popleft())
        while ahead:
            yield _stacked(ahead.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def pixels(
    storage: Storage,
    image_roots: dict[str, str],
    preprocessing: Preprocessing,
    stimulus: dict[str, Any],
) -> NDArray[np.uint8]:
    """Decode one registered stimulus as a network takes it, of its preprocessing's shape.

    Parameters
    ----------
    image_roots : dict
        What `fexp_store.stimuli.images.roots` returned.
    stimulus : dict
        A row of the view ``stimuli``.

    Raises
    ------
    BadInput
        If its image has changed since it was registered, or cannot be decoded.
    NotFound
        If its image is missing.
    """
    content = images.read_registered(storage, stimulus, image_roots)
    name = f"Stimulus {stimulus['stimulus_id']} of {stimulus['stimulus_set']}"
    return preprocessing.pixels(images.decode(content, name))


def _stacked(images: list[Future[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    return np.stack([image.result() for image in images])

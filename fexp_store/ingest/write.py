"""Writing a span of activations: one file per layer, one commit for all of them."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import FexpError
from fexp_store.ingest.plan import Span
from fexp_store.ingest.request import Prepared
from fexp_store.warehouse import runs
from fexp_store.warehouse.activations.commit import commit, discard
from fexp_store.warehouse.activations.fragment import Fragment, new_path, stored_path
from fexp_store.warehouse.activations.write import round_mantissa, write_file
from fexp_store.warehouse.networks import Layer
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Run
from fexp_store.warehouse.storage import Storage


@dataclass
class Writer:
    """Stores spans of one ingest and records its run before the first of them.

    Parameters
    ----------
    storage : Storage
    prepared : Prepared
    run : Run
    """

    storage: Storage
    prepared: Prepared
    run: Run
    _recorded: bool = field(default=False, init=False)

    def store(self, span: Span, buffers: Mapping[str, NDArray[np.float32]]) -> list[Fragment]:
        """Write and commit a span.

        Parameters
        ----------
        buffers : mapping of str to ndarray of shape (n_stimuli, n_units), float32
            By layer; rounded in place if bits are dropped.

        Returns
        -------
        list of Fragment
            Those committed; empty where another process was first.

        Raises
        ------
        FexpError
            If the disk is full. No file of the span is left, and nothing of it is visible.
        """
        paths = {layer: new_path(self._place(layer)) for layer in span.layers}
        try:
            written = [self._write(span, layer, paths[layer], buffers) for layer in span.layers]
            self._record_start()
            return commit(self.storage, written)
        except BaseException as error:
            discard(self.storage, list(paths.values()))
            if _is_disk_full(error):
                raise FexpError(
                    f"The disk of {self.storage.location} is full; what was committed before "
                    "stays. Free some space and run the same command to go on."
                ) from error
            raise

    def _write(
        self, span: Span, layer: Layer, path: str, buffers: Mapping[str, NDArray[np.float32]]
    ) -> Fragment:
        values = buffers[layer.name]
        options = self.prepared.options
        if options.keep_bits is not None:
            round_mantissa(values, options.keep_bits)
        size, digest = write_file(self.storage, stored_path(path), values, span.start)
        images = self.prepared.images(span.start, span.stop)
        return Fragment(
            fragment_id=self.prepared.content_id(layer.name).fragment_id(images),
            network=self.prepared.network.network,
            layer=layer.name,
            stimulus_set=self.prepared.stimulus_set,
            path=path,
            unit_start=0,
            unit_stop=layer.units,
            stimulus_start=span.start,
            stimulus_stop=span.stop,
            rows=values.size,
            bytes=size,
            sha256=digest,
            keep_bits=options.keep_bits,
            precision=options.precision,
            run_id=self.run.run_id,
        )

    def _place(self, layer: Layer) -> Place:
        name = self.prepared.network.network
        return Place(name, layer.name, self.prepared.stimulus_set)

    def _record_start(self) -> None:
        if not self._recorded:
            runs.record_start(self.storage, self.run)
            self._recorded = True


def _is_disk_full(error: BaseException) -> bool:
    number = error.errno if isinstance(error, OSError) else None
    # delta-rs gives the operating system's words, not its number.
    return number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left on device" in str(
        error
    )

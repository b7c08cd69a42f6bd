"""Running a network again on stimuli whose activations are stored, and comparing the two."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fexp_store import causes
from fexp_store.errors import BadInput, FexpError, NotFound
from fexp_store.ingest.agreement import OTHER_DEVICE, SAME_DEVICE, Agreement, Difference
from fexp_store.ingest.batches import pixels
from fexp_store.ingest.device import Device, choose
from fexp_store.ingest.forward import Forward
from fexp_store.ingest.request import Options
from fexp_store.ingest.sample import Asked
from fexp_store.networks import registry
from fexp_store.stimuli import images
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.activations.fragment import stored_path
from fexp_store.warehouse.activations.matrix import file_blocks
from fexp_store.warehouse.networks import registered

IMAGES = 8
"""Images in one forward pass, where their number does not change what is compared."""

HELD_BYTES = 128 << 20
"""Memory of the responses that wait for what is stored of them, and again of the latter."""

BLOCK_BYTES = 32 << 20
"""Memory of what is read of a file at a time."""

_EXACT = ("bf16", "tf32")  # which round between layers: only the batch of then gives the same bits
Part = Mapping[int, Sequence[Asked]]
"""Stimuli that are run again, and the files that have them."""

_REASONS = (FexpError, OSError, RuntimeError)  # the last are torch's


class Outcome(NamedTuple):
    """What came of one stimulus of a file: all agrees, or it differs, or why it was not run."""

    asked: Asked
    stimulus: int
    difference: Difference | None = None
    reason: str | None = None


def run_again(wh: Warehouse, asked: Sequence[Asked], device: str) -> Iterator[Outcome]:
    """Run one network again; give an outcome for each stimulus of each file.

    Each image goes through the network once for all files, while memory holds the responses.

    Parameters
    ----------
    asked : sequence of Asked
        Of one network.
    device : str
        As `fexp_store.ingest.device.choose` takes it; ``auto`` is that of the ingest, if it is
        here.
    """
    try:
        net = registry.load(wh, registered(wh, asked[0].place.network))
    except _REASONS as error:
        yield from _not_run(_by_stimulus(asked), error)
        return
    for _, alike in groupby(sorted(asked, key=lambda one: one.how), key=lambda one: one.how):
        files = list(alike)
        try:
            on = _device(device, files[0])
            rows = read_set(wh, files[0].place.stimulus_set).to_dicts()
        except _REASONS as error:
            yield from _not_run(_by_stimulus(files), error)
            continue
        again = _Again(wh, net, on, rows, Forward(net, on, 0))
        for part in _parts(_by_stimulus(files)):
            yield from again.outcomes(part)


def _device(device: str, asked: Asked) -> Device:
    """Choose that of the ingest if there is a choice and it is here."""
    if device == "auto" and asked.device in ("cpu", "cuda", "mps"):
        try:
            return choose(asked.device, asked.precision)
        except BadInput:
            pass
    return choose(device, asked.precision)


def _by_stimulus(files: Sequence[Asked]) -> Part:
    found: dict[int, list[Asked]] = {}
    for asked in files:
        for stimulus in asked.stimuli:
            found.setdefault(stimulus, []).append(asked)
    return dict(sorted(found.items()))


def _parts(whole: Part) -> Iterator[Part]:
    """Divide what is asked, so that memory holds the responses of each part."""
    part: dict[int, Sequence[Asked]] = {}
    held = 0
    for stimulus, files in whole.items():
        size = sum(4 * asked.units for asked in files)
        if part and held + size > HELD_BYTES:
            yield part
            part, held = {}, 0
        part[stimulus] = files
        held += size
    yield part


def _not_run(
    part: Part, error: Exception, stimuli: Collection[int] | None = None
) -> Iterator[Outcome]:
    for stimulus in part if stimuli is None else stimuli:
        for asked in part.get(stimulus, ()):
            yield Outcome(asked, stimulus, reason=causes.sentence(error))


@dataclass
class _Again:
    """A network on a device, and the stimuli of one set."""

    wh: Warehouse
    net: registry.Network
    device: Device
    rows: Sequence[dict[str, Any]]
    forward: Forward
    _responses: dict[tuple[Asked, int], NDArray[np.float32]] = field(default_factory=dict)

    @property
    def _alone(self) -> bool:
        """Whether the other images of a batch change nothing that counts."""
        return self.device.precision not in _EXACT

    def outcomes(self, part: Part) -> Iterator[Outcome]:
        """Run a part, and then compare it file by file."""
        for numbers in self._batches(part):
            yield from self._run(part, numbers)
        for asked in dict.fromkeys(asked for files in part.values() for asked in files):
            ran = [n for n in part if (asked, n) in self._responses]
            yield from self._compared(asked, ran)

    def _batches(self, part: Part) -> Iterator[list[int]]:
        """Return the stimuli that are run together, as they were then if that changes bits."""
        drawn = list(part)
        if self._alone:
            for first in range(0, len(drawn), IMAGES):
                yield drawn[first : first + IMAGES]
            return
        size = next(iter(part.values()))[0].batch_size or Options().batch_size
        for number in dict.fromkeys(stimulus // size for stimulus in drawn):
            yield list(range(number * size, min((number + 1) * size, len(self.rows))))

    def _run(self, part: Part, numbers: Sequence[int]) -> Iterator[Outcome]:
        """Keep the responses to one batch; give outcomes of what could not be run."""
        found: dict[int, NDArray[np.uint8]] = {}
        roots = images.roots(self.wh.storage)
        for number in numbers:
            try:
                found[number] = self._pixels(roots, number)
            except _REASONS as error:
                yield from _not_run(part, error, [number] if self._alone else numbers)
                if not self._alone:
                    return
        layers = {asked.place.layer for n in found for asked in part.get(n, ())}
        if not layers:
            return
        try:
            if lost := layers - self.net.paths.keys():
                raise NotFound(f"The network has no layer {min(lost)!r} in this version.")
            take = partial(self._take, part, list(found))
            for download in self.forward.run(np.stack([*found.values()]), layers, take):
                download.finish()
        except _REASONS as error:
            for key in [key for key in self._responses if key[1] in found]:
                del self._responses[key]
            yield from _not_run(part, error, found)

    def _pixels(self, roots: dict[str, str], number: int) -> NDArray[np.uint8]:
        if number >= len(self.rows):
            raise NotFound(f"The set has no stimulus {number}.")
        return pixels(self.wh.storage, roots, self.net.preprocessing, self.rows[number])

    def _take(
        self, part: Part, numbers: Sequence[int], skip: int, layer: str, response: torch.Tensor
    ) -> None:
        """Keep what a layer puts out for the images from `skip` on."""
        units = response[0].numel()
        for number, one in zip(numbers[skip:], response, strict=False):
            for asked in part.get(number, ()):
                if asked.place.layer != layer:
                    continue
                ranges = asked.file.ranges
                if units < ranges.unit_stop:
                    raise NotFound(
                        f"The layer {layer} has {units} units in this version, and "
                        f"{ranges.unit_stop} are stored."
                    )
                kept = np.empty(units, np.float32)
                torch.from_numpy(kept).view(one.shape).copy_(one)
                self._responses[asked, number] = kept[ranges.unit_start : ranges.unit_stop]

    def _compared(self, asked: Asked, ran: Sequence[int]) -> Iterator[Outcome]:
        """Compare what was run of a file with what it holds."""
        again = [self._responses.pop((asked, number)) for number in ran]
        if not ran:
            return
        try:
            stored, largest = _stored(self.wh, asked, ran)
        except _REASONS as error:
            yield from _not_run({number: [asked] for number in ran}, error)
            return
        tolerance = SAME_DEVICE if self.device.name == asked.device else OTHER_DEVICE
        agreement = Agreement(tolerance, asked.keep_bits, asked.precision)
        for number, one, other in zip(ran, stored, again, strict=True):
            yield Outcome(asked, number, agreement.difference(one, other, largest))


def _stored(
    wh: Warehouse, asked: Asked, stimuli: Sequence[int]
) -> tuple[NDArray[np.float32], float]:
    """Read what is stored of some stimuli of a file, and its largest finite response."""
    wh.check([stored_path(asked.file.path)])
    rows = np.array(stimuli) - asked.file.ranges.stimulus_start
    values = np.empty((len(stimuli), asked.units), np.float32)
    largest = 0.0
    for first, block in file_blocks(wh.storage, asked.place, asked.file, BLOCK_BYTES):
        values[:, first : first + block.shape[1]] = block[rows]
        finite = np.abs(block[np.isfinite(block)])
        largest = max(largest, float(finite.max(initial=0.0)))
    return values, largest

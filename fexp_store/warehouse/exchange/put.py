"""Storing activations that were made elsewhere, as an ingest stores those of its own networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fexp_store.errors import Conflict, NotFound
from fexp_store.options import plain
from fexp_store.warehouse import delta, networks, runs, space, tables
from fexp_store.warehouse.activations import grid
from fexp_store.warehouse.activations.commit import commit, discard, stored_ranges
from fexp_store.warehouse.activations.fragment import TABLE, ContentId, Fragment, Portion
from fexp_store.warehouse.activations.write import round_mantissa, write_portion
from fexp_store.warehouse.exchange import readers
from fexp_store.warehouse.exchange.cell import Cell
from fexp_store.warehouse.exchange.declared import Options, declare
from fexp_store.warehouse.exchange.given import Given, arrange
from fexp_store.warehouse.exchange.matching import check_units, match
from fexp_store.warehouse.exchange.source import Source, Wanted, of_array, sha256_of
from fexp_store.warehouse.names import check_layer, check_name
from fexp_store.warehouse.networks import IMPORTED, Registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Run

if TYPE_CHECKING:
    from fexp_store.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Parameters
    ----------
    stimuli, units : int
        Of the layer.
    fragments : int
        Fragments that were committed; 0 if these activations were stored already.
    bytes : int
        Bytes of their files.
    """

    stimuli: int
    units: int
    fragments: int
    bytes: int


@dataclass(frozen=True)
class _Import:
    """An import that was checked but for its values."""

    wh: Warehouse
    place: Place
    given: Given
    images: list[str]
    network: Registered
    options: Options
    file: Path | None


def put(
    wh: Warehouse,
    place: Place,
    values: Any,
    options: Options,
    labels: Sequence[Any] | None = None,
) -> Imported:
    """Store a layer's activations for a whole stimulus set; see `Warehouse.put`."""
    check_name("network", place.network)
    check_layer(place.layer)
    images = _images(wh, place.stimulus_set)
    file = Path(values) if isinstance(values, (str, Path)) else None
    with _opened(file, values, options) as source:
        given = _arranged(source, options, labels, images)
        network = declare(wh.storage, place, given.shape, options)
        return _store(_Import(wh, place, given, images, network, options, file))


def _store(this: _Import) -> Imported:
    """Compare what is stored, write what is not, and make it visible in one commit."""
    n_stimuli, n_units = len(this.images), this.given.n_units
    table = delta.open_table(this.wh.storage, TABLE)
    units = {this.place: n_units}
    stored = stored_ranges(this.wh.storage, table, units).get(this.place, [])
    missing = list(grid.pieces(n_units, grid.complement(stored, n_stimuli)))
    if stored:
        _check_same(this)
    storage = this.wh.storage
    if not missing:
        if not networks.is_among(this.network, networks.rows(storage, this.place.network)):
            networks.register(storage, this.network)  # the file of its row was lost
        return Imported(n_stimuli, n_units, 0, 0)
    raw = sum(4 * n_units * (stop - start) for start, stop in missing)
    space.demand(storage, raw, "this import")
    run = _begin(this)
    with this.wh.storage.writing():
        written, committed = _write_all(this, run, missing)
    if len(committed) < len(written):  # another process was first
        _check_same(this)
    runs.record_end(this.wh.storage, run)
    return Imported(n_stimuli, n_units, len(committed), sum(f.bytes for f in committed))


def _write_all(
    this: _Import, run: Run, missing: Sequence[grid.Range]
) -> tuple[list[Fragment], list[Fragment]]:
    """Write fragments, and return them and those that were committed."""
    storage = this.wh.storage
    written: list[Fragment] = []
    try:
        with this.wh.bar(f"Importing {this.place}") as started:
            advance = started(len(this.images) * this.given.n_units)
            for start, stop in missing:
                written.append(_write(this, start, stop, run.run_id))
                advance((stop - start) * this.given.n_units)
        runs.record_start(storage, run)
        # A row of an imported network counts only once something of it is stored.
        networks.register(storage, this.network)
        return written, commit(storage, written)
    except BaseException:
        discard(storage, [fragment.path for fragment in written])
        raise


def _begin(this: _Import) -> Run:
    source, rows = this.given.source, this.options.rows
    about = {
        "file": this.file and this.file.name,
        "rows": rows and Path(rows).name,  # no table holds a path of a machine
        "sha256": readers.sha256_of(this.file) if this.file else sha256_of(source),
        "shape": this.given.shape,
    }
    return runs.begin(this.wh.storage, "import", this.place.columns, plain(this.options) | about)


def _write(this: _Import, start: int, stop: int, run_id: str) -> Fragment:
    keep_bits = this.options.keep_bits
    cell = Cell(this.given, start, stop)
    # Where there are no weights, the bytes themselves are what determines the content.
    content = ContentId(
        weights_sha256=cell.sha256(),
        architecture=IMPORTED,
        preprocessing="{}",
        layer=this.place.layer,
        keep_bits=keep_bits,
        precision=IMPORTED,
    )
    units = (0, cell.n_units)
    portion = Portion(
        fragment_id=content.fragment_id(this.images[start:stop], units),
        **this.place.columns,
        unit_start=units[0],
        unit_stop=units[1],
        stimulus_start=start,
        stimulus_stop=stop,
        keep_bits=keep_bits,
        precision=IMPORTED,
        run_id=run_id,
    )
    allow = this.options.allow_nonfinite
    return write_portion(this.wh.storage, portion, cell, allow_nonfinite=allow)


def _check_same(this: _Import) -> None:
    """Compare what is given with what is stored, bit by bit; a Conflict names what differs."""
    given, place = this.given, this.place
    for block in this.wh.matrix_blocks(*place, block_bytes=max(1, given.memory // 8)):
        first, last = int(block.unit_ids[0]), int(block.unit_ids[-1]) + 1
        ids = block.stimuli["stimulus_id"].to_numpy()
        start, stop = int(ids.min()), int(ids.max()) + 1
        values = given.block(start, stop, first, last)[ids - start]
        if this.options.keep_bits is not None:
            round_mantissa(values, this.options.keep_bits)
        other = values.view(np.uint32) != block.values.view(np.uint32)
        if other.any():
            row, unit = np.argwhere(other)[0]
            raise Conflict(
                f"{place} is stored with other activations: {block.values[row, unit]} of unit "
                f"{first + unit} for stimulus {ids[row]}, and {values[row, unit]} here; they never "
                "change, so choose another name for the network."
            )


def _images(wh: Warehouse, stimulus_set: str) -> list[str]:
    """Return the hashes of the images of a set by stimulus_id; read without the catalog."""
    stimuli = tables.read(wh.storage, "stimuli")
    rows = stimuli.filter(stimulus_set=stimulus_set).sort("stimulus_id")
    if rows.is_empty():
        known = ", ".join(sorted(set(stimuli["stimulus_set"]))) or "none yet"
        raise NotFound(f"There is no stimulus set {stimulus_set!r}; registered: {known}.")
    return rows["image_sha256"].to_list()


@contextmanager
def _opened(file: Path | None, values: Any, options: Options) -> Iterator[Source]:
    if file is None:
        yield of_array(values)
        return
    wanted = Wanted(options.array, options.rows, options.memory_bytes)
    with readers.open_file(file, wanted) as source:
        yield source


def _arranged(
    source: Source, options: Options, labels: Sequence[Any] | None, images: list[str]
) -> Given:
    named: Any = options.rows if labels is None else labels
    if isinstance(named, str) and source.label(named) is None:
        named = readers.labels_of(Path(named))
    rows = match(source, named, images)
    given = arrange(source, options, rows)
    check_units(source, given.n_units)
    return given

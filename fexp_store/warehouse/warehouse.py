"""The warehouse as people use it from Python: SQL, polars and matrices over stored activations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from fexp_store import schemas
from fexp_store.errors import BadInput, Damaged, NotFound
from fexp_store.options import make
from fexp_store.progress import Bar, no_bar
from fexp_store.warehouse import catalog, checked, contents, root
from fexp_store.warehouse.activations.fragment import TABLE, stored_path, units_a_group
from fexp_store.warehouse.activations.matrix import (
    Matrix,
    StoredLayer,
    read_units,
    stored_files,
)
from fexp_store.warehouse.networks import has_network, registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.plans import touched
from fexp_store.warehouse.questions import ask, damage, refusals
from fexp_store.warehouse.saved import FOLDER

if TYPE_CHECKING:
    from fexp_store.warehouse.exchange.put import Imported

_EXPORT_BYTES = 32 << 20


class Warehouse:
    """An open warehouse.

    Parameters
    ----------
    path : str or Path
        Its directory.
    memory_limit : str
        Memory that DuckDB may use before it spills to disk, for example ``"2GiB"``.
    threads : int, optional
        Threads that DuckDB may use; all cores by default.

    Attributes
    ----------
    bar : callable
        Makes the progress bar of what takes long by itself: hashing files on their first use.

    Raises
    ------
    NotFound
        If there is no warehouse in that directory.
    Damaged
        If its format is newer than this version reads.

    Examples
    --------
    >>> wh = Warehouse("warehouse")  # doctest: +SKIP
    >>> wh.sql("FROM networks").pl()  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | Path = "warehouse",
        *,
        memory_limit: str = "2GiB",
        threads: int | None = None,
    ) -> None:
        self.storage = root.locate(path)
        self.bar: Bar = no_bar
        self._memory_limit = memory_limit
        self._threads = threads
        self._opened: catalog.Opened | None = None

    @classmethod
    def create(cls, path: str | Path = "warehouse") -> Warehouse:
        """Create an empty warehouse (what ``fexp init`` does) and open it."""
        return cls(root.create(path).location)

    @classmethod
    def open_or_create(cls, path: str | Path = "warehouse") -> Warehouse:
        """Open a warehouse, which is made if there is none."""
        return cls(path) if root.is_warehouse(path) else cls.create(path)

    @property
    def location(self) -> str:
        """Where it is, in words that the command line understands."""
        return self.storage.location

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """A read-only DuckDB connection that shows the newest version of every table."""
        return self._open().connection

    def close(self) -> None:
        """Close the DuckDB connection; the next query opens a new one."""
        if self._opened is not None:
            self._opened.connection.close()
            self._opened = None

    def sql(self, query: str, parameters: dict[str, Any] | None = None) -> duckdb.DuckDBPyRelation:
        """Run a query over the views and macros of the catalog.

        Parameters
        ----------
        query : str
            One SELECT statement. ``$name`` stands for the parameter of that name.
        parameters : dict, optional

        Returns
        -------
        duckdb.DuckDBPyRelation
            Lazy; ``.pl()``, ``.to_arrow_table()``, ``.df()`` or ``.fetchall()`` run it.
        """
        return self._ready(query, parameters).sql(query, params=parameters)

    def frame(self, query: str, **parameters: Any) -> pl.DataFrame:
        """Run a query and return its result as a polars DataFrame.

        Raises
        ------
        Damaged
            If it asks for rows of a file that is not as it was stored.
        """
        with damage():
            return self.sql(query, parameters or None).pl()

    def query(self, query: str, parameters: dict[str, Any] | None = None) -> pl.DataFrame:
        """Run a query that a user typed; what is not a single question is refused.

        Raises
        ------
        BadInput
            If the statement is not one SELECT (or DESCRIBE, SHOW, EXPLAIN), or DuckDB refuses it.
        """
        reader = self.stream(query, parameters)
        with refusals():
            return pl.DataFrame(reader.read_all())

    def stream(self, query: str, parameters: dict[str, Any] | None = None) -> pa.RecordBatchReader:
        """Run a query as `query` does, and return its result as batches, computed as they are read.

        Reading a batch raises duckdb.Error or OSError where computing it fails.
        """
        try:
            return ask(self.connection, query, parameters, self._ready)
        except BadInput as error:
            for folder, sentence in self._open().broken.items():
                if folder.startswith(FOLDER) and folder.rpartition("/")[2] in query:
                    raise Damaged(sentence) from error  # whose columns nobody can name any more
            raise

    def interrupt(self) -> None:
        """Stop the query that is running in another thread."""
        if self._opened is not None:
            self._opened.connection.interrupt()

    def rebuild_catalog(self) -> str:
        """Build ``catalog.duckdb`` anew from the tables and return its file name."""
        self.close()
        return catalog.build(self.storage)

    def activations(self, **partition: str) -> pl.LazyFrame:
        """Return the long table as a polars LazyFrame over the files of the Delta table.

        Parameters
        ----------
        **partition : str
            Any of network, layer and stimulus_set: only their files are read.

        Raises
        ------
        Damaged
            If one of the files is not as it was stored.
        """
        columns = schemas.tables()[TABLE].arrow.names
        listed = self.frame(
            f"SELECT file, {', '.join(Place._fields)} FROM stored.listed WHERE table_name = $table",
            table=TABLE,
        )
        wanted = listed.filter(**partition) if partition else listed
        self.check(wanted["file"].to_list())
        frames = [pl.DataFrame(schemas.tables()[TABLE].arrow.empty_table()).lazy()]
        for place, files in wanted.group_by(Place._fields, maintain_order=True):
            # Not scan_delta: it takes folders above the warehouse for partitions, or finds no file.
            frame = pl.scan_parquet(
                [self.storage.uri(file) for file in files["file"]],
                glob=False,
                hive_partitioning=False,
            )
            named = dict(zip(Place._fields, place, strict=True))
            frames.append(frame.with_columns(**{k: pl.lit(v) for k, v in named.items()}))
        return pl.concat([frame.select(columns) for frame in frames])

    def check(self, files: Sequence[str]) -> None:
        """Compare files of the warehouse with what was stored; each is read on its first use only.

        Parameters
        ----------
        files : sequence of str
            Paths in the warehouse; files of which nothing is recorded are left alone.

        Raises
        ------
        Damaged
            If one is missing, or is not the file that was stored.
        """
        unchecked = self._open().unchecked
        opened = self._hashed([file for file in files if file in unchecked])
        for file in files:
            if file in opened.faults:
                raise Damaged(opened.faults[file])

    def matrix(
        self,
        network: str,
        layer: str,
        stimulus_set: str,
        units: Sequence[int] | None = None,
    ) -> Matrix:
        """Read a layer's activations as one dense matrix.

        Parameters
        ----------
        units : sequence of int, optional
            unit_ids to read, in ascending order; all units by default.

        Returns
        -------
        Matrix
            values of shape (n_stimuli, n_units), float32, and labels.
        """
        stored, stimuli = self._layer(Place(network, layer, stimulus_set))
        return self._block(stored, stimuli, _unit_ids(stored, units))

    def matrix_blocks(
        self,
        network: str,
        layer: str,
        stimulus_set: str,
        units: Sequence[int] | None = None,
        *,
        block_bytes: int = 64 << 20,
    ) -> Iterator[Matrix]:
        """Iterate over a layer's activations in blocks of whole units, in bounded memory.

        Parameters
        ----------
        units : sequence of int, optional
            As in `matrix`.
        block_bytes : int
            Size in bytes that a block's values may have (at least one unit is given).

        Yields
        ------
        Matrix
            values of shape (n_stimuli, n_units of the block), float32, and labels.
        """
        stored, stimuli = self._layer(Place(network, layer, stimulus_set))
        wanted = _unit_ids(stored, units)
        step = max(1, block_bytes // (4 * max(1, stimuli.height)))
        if units is None:  # so that no row group is read twice
            ranges = stored.files[0].ranges
            in_group = units_a_group(ranges.stimulus_stop - ranges.stimulus_start)
            step -= step % in_group if step > in_group else 0
        for start in range(0, len(wanted), step):
            yield self._block(stored, stimuli, wanted[start : start + step])

    def put(
        self,
        network: str,
        layer: str,
        stimulus_set: str,
        values: Any,
        *,
        rows: Sequence[Any] | str | None = None,
        shape: Sequence[int] | None = None,
        **options: Any,
    ) -> Imported:
        """Store activations that were made elsewhere, as one layer of an imported network.

        Everything is checked before anything is written; all becomes visible in one commit, or
        nothing. The same activations again change nothing.

        Parameters
        ----------
        values : array, tensor or path, of shape (n_stimuli, n_units) or (n_stimuli, C, H, W)
            A path names an .npy, .npz, .mat, .h5, .zarr or .parquet file. Stored as float32.
        rows : sequence or str, optional
            The stimulus of each row, by stimulus_id or image_sha256, or where the file has them;
            by default rows are in the order of the set. A whole set is stored at once.
        shape : sequence of int, optional
            (C, H, W) of a layer whose values come with one dimension of units.
        **options
            source, training, group, licence, citation, axes, array, keep_bits, memory: see
            `fexp_store.warehouse.exchange.declared.Options`.

        Raises
        ------
        NotFound
            If the stimulus set is not registered.
        BadInput
            If the values are no such matrix, are not finite, or are labelled otherwise than once
            for each stimulus.
        Conflict
            If the name has other content.

        Examples
        --------
        >>> wh.put("simulated", "output", "faces", values)  # doctest: +SKIP
        """
        from fexp_store.warehouse.exchange.declared import Options
        from fexp_store.warehouse.exchange.put import put

        named = options | {
            "rows": rows if isinstance(rows, str) else None,
            "shape": None if shape is None else ",".join(map(str, shape)),
        }
        labels = None if isinstance(rows, str) else rows
        place = Place(network, layer, stimulus_set)
        return put(self, place, values, make(Options, named), labels)

    def export(
        self,
        network: str,
        layer: str,
        stimulus_set: str,
        to: str | Path,
        units: Sequence[int] | None = None,
    ) -> None:
        """Write a layer's activations to a file that other programs read, in bounded memory.

        Parameters
        ----------
        to : str or Path
            A new file. By its ending: .npz and .nc hold ``activation`` of shape
            (n_stimuli, n_units) and arrays of labels, .npy no labels; .parquet and .csv a row a
            unit and stimulus with labels. It has its name once it is whole.
        units : sequence of int, optional
            unit_ids, in ascending order; all units by default.

        Raises
        ------
        NotFound
            If no activations are stored.
        BadInput
            If the file is there already, or is of another format.
        """
        from fexp_store.warehouse.exchange.export import export, writer
        from fexp_store.warehouse.exchange.labelled import labelled

        write, place = writer(Path(to)), Place(network, layer, stimulus_set)
        stored, stimuli = self._layer(place)
        unit_ids = _unit_ids(stored, units)

        def blocks() -> Iterator[Matrix]:
            return self.matrix_blocks(*place, units, block_bytes=_EXPORT_BYTES)

        export(labelled(self, place, stimuli, unit_ids, blocks), Path(to), write)

    def _open(self) -> catalog.Opened:
        if self._opened is None or contents.versions(self.storage) != self._opened.versions:
            self.close()
            self._opened = catalog.attach(
                self.storage, memory_limit=self._memory_limit, threads=self._threads
            )
        return self._opened

    def _ready(
        self, query: str, parameters: dict[str, Any] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Return a connection whose catalog leaves out what is damaged of the files of a query."""
        opened = self._open()
        if not opened.unchecked:
            return opened.connection
        files = touched(opened.connection, query, parameters, opened.unchecked)
        return self._hashed(files).connection

    def _hashed(self, files: Sequence[str]) -> catalog.Opened:
        """Hash files that are not hashed yet; the catalog then leaves out damaged ones."""
        opened = self._open()
        digests = {file: opened.unchecked.pop(file) for file in files}
        with self.bar("Checking files") as started:
            wrong = checked.different(self.storage, digests, started=started)
        if wrong:
            self.close()
            opened = self._open()
            for file in wrong:
                if file not in opened.faults:  # there is no cache that could remember it
                    checked.check(self.storage, {file: digests[file]})
        return opened

    def _block(
        self, stored: StoredLayer, stimuli: pl.DataFrame, unit_ids: NDArray[np.int32]
    ) -> Matrix:
        ids = stimuli["stimulus_id"].to_numpy()
        return Matrix(read_units(self.storage, stored, ids, unit_ids), stimuli, unit_ids)

    def _layer(self, place: Place) -> tuple[StoredLayer, pl.DataFrame]:
        """Return what is stored of a layer, compared with our record, and the stimuli of that."""
        rows = self.frame(
            "FROM fragments WHERE network = $network AND layer = $layer"
            " AND stimulus_set = $stimulus_set ORDER BY stimulus_start",
            **place.columns,
        )
        if rows.is_empty():
            raise NotFound(
                f"No activations of {place} are stored; run: fexp ingest {place.as_arguments}"
            )
        self.check([stored_path(path) for path in rows["path"]])
        files = stored_files(self.storage, rows)
        n_units = max(file.ranges.unit_stop for file in files)
        if any(file.fragment_id is None for file in files) and has_network(self, place.network):
            n_units = registered(self, place.network).layer(place.layer).units
        stored = StoredLayer(place, files, n_units)
        stimuli = self.frame(
            "FROM stimuli WHERE stimulus_set = $stimulus_set", stimulus_set=place.stimulus_set
        )
        ids = pl.DataFrame({"stimulus_id": stored.stimuli(self.storage)})
        return stored, stimuli.join(ids, on="stimulus_id", how="semi").sort("stimulus_id")


def _unit_ids(stored: StoredLayer, units: Sequence[int] | None) -> NDArray[np.int32]:
    if units is None:
        return np.arange(stored.n_units, dtype=np.int32)
    ids = np.array(units, np.int32)
    if not ids.size or np.any(np.diff(ids) <= 0) or np.any((ids < 0) | (ids >= stored.n_units)):
        last = stored.n_units - 1
        raise BadInput(f"units must ascend, without repeats, from 0 to at most {last}.")
    return ids

"""The warehouse as people use it from Python: SQL, polars and matrices over stored activations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from fexp_store.errors import BadInput, NotFound
from fexp_store.warehouse import catalog, root, tables
from fexp_store.warehouse.activations.fragment import TABLE, units_a_group
from fexp_store.warehouse.activations.matrix import FragmentFile, Matrix, read_units
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.questions import ask, refusals


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
        self._memory_limit = memory_limit
        self._threads = threads
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._versions: dict[str, int] = {}

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
        versions = tables.log_versions(self.storage)
        if self._connection is None or versions != self._versions:
            self.close()
            self._connection = catalog.attach(
                self.storage, memory_limit=self._memory_limit, threads=self._threads
            )
            self._versions = versions
        return self._connection

    def close(self) -> None:
        """Close the DuckDB connection; the next query opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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
        return self.connection.sql(query, params=parameters)

    def frame(self, query: str, **parameters: Any) -> pl.DataFrame:
        """Run a query and return its result as a polars DataFrame."""
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
        return ask(self.connection, query, parameters)

    def interrupt(self) -> None:
        """Stop the query that is running in another thread."""
        if self._connection is not None:
            self._connection.interrupt()

    def rebuild_catalog(self) -> str:
        """Build ``catalog.duckdb`` anew from the tables and return its file name."""
        self.close()
        return catalog.build(self.storage)

    def activations(self, **partition: str) -> pl.LazyFrame:
        """Return the long table as a polars LazyFrame over the Delta table.

        Parameters
        ----------
        **partition : str
            Any of network, layer and stimulus_set: only their files are read.
        """
        frame = pl.scan_delta(self.storage.uri(TABLE))
        return frame.filter(**partition) if partition else frame

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
        stored, n_units, stimuli = self._layer(Place(network, layer, stimulus_set))
        unit_ids = (
            np.arange(n_units, dtype=np.int32) if units is None else np.array(units, np.int32)
        )
        if np.any(np.diff(unit_ids) <= 0) or np.any((unit_ids < 0) | (unit_ids >= n_units)):
            raise BadInput(f"units must ascend, without repeats, from 0 to at most {n_units - 1}.")
        return Matrix(read_units(self.storage, stored, unit_ids), stimuli, unit_ids)

    def matrix_blocks(
        self,
        network: str,
        layer: str,
        stimulus_set: str,
        *,
        block_bytes: int = 64 << 20,
    ) -> Iterator[Matrix]:
        """Iterate over a layer's activations in blocks of whole units, in bounded memory.

        Parameters
        ----------
        block_bytes : int
            Size in bytes that a block's values may have (at least one unit is given).

        Yields
        ------
        Matrix
            values of shape (n_stimuli, n_units of the block), float32, and labels.
        """
        stored, n_units, stimuli = self._layer(Place(network, layer, stimulus_set))
        step = max(1, block_bytes // (4 * max(1, stimuli.height)))
        in_group = units_a_group(stored[0].stimulus_stop - stored[0].stimulus_start)
        step -= step % in_group if step > in_group else 0  # so that no row group is read twice
        for start in range(0, n_units, step):
            unit_ids = np.arange(start, min(start + step, n_units), dtype=np.int32)
            yield Matrix(read_units(self.storage, stored, unit_ids), stimuli, unit_ids)

    def _layer(self, place: Place) -> tuple[list[FragmentFile], int, pl.DataFrame]:
        rows = self.frame(
            "FROM fragments WHERE network = $network AND layer = $layer"
            " AND stimulus_set = $stimulus_set ORDER BY stimulus_start",
            **place.columns,
        )
        if rows.is_empty():
            raise NotFound(
                f"No activations of {place} are stored; run: fexp ingest {place.as_arguments}"
            )
        stored = [
            FragmentFile(r["path"], r["unit_stop"], r["stimulus_start"], r["stimulus_stop"])
            for r in rows.iter_rows(named=True)
        ]
        ids = np.concatenate([np.arange(f.stimulus_start, f.stimulus_stop) for f in stored])
        stimuli = self.frame(
            "FROM stimuli WHERE stimulus_set = $stimulus_set", stimulus_set=place.stimulus_set
        )
        kept = stimuli.filter(pl.col("stimulus_id").is_in(ids.tolist())).sort("stimulus_id")
        return stored, int(stored[0].n_units), kept

"""The DuckDB catalog: an index over the files of known Delta versions, rebuilt when stale."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from fexp_store import schemas
from fexp_store.causes import cause
from fexp_store.errors import FexpError
from fexp_store.warehouse import checked, contents, scans
from fexp_store.warehouse.contents import LISTED, Contents, Kept
from fexp_store.warehouse.scans import identifier, literal, quote
from fexp_store.warehouse.storage import BESIDE_DATABASES, Storage

FILE_NAME = "catalog.duckdb"
_FORMAT = 2
_PUBLISHED = ("published_results", "published_confusions")


@dataclass(frozen=True)
class Opened:
    """A connection on a catalog, and the state of the warehouse that the catalog shows.

    Parameters
    ----------
    current : bool
        Whether that is its state now.
    versions : dict
        Of the tables.
    broken : dict
        Sentences on tables that cannot be read, by folder.
    faults : dict
        Sentences on files that are not as they were stored, by path.
    unchecked : dict
        SHA-256 by path of the files that this user has not hashed as they are now.
    """

    connection: duckdb.DuckDBPyConnection
    current: bool
    versions: dict[str, int]
    broken: dict[str, str]
    faults: dict[str, str]
    unchecked: dict[str, str]


def attach(storage: Storage, *, memory_limit: str, threads: int | None) -> Opened:
    """Open a connection on the current catalog, read-only and shut off from everything else.

    A catalog is believed only if this user has built it here; any other is built anew: in the
    warehouse, or where that cannot be written in the user's cache, or else in memory.
    """
    limits = {"memory_limit": memory_limit} | ({} if threads is None else {"threads": threads})
    for path in _believed(storage):
        with suppress(duckdb.Error):  # of another DuckDB version, or damaged: it is disposable
            opened = _opened(storage, _connect(storage, path, limits))
            if opened.current:
                return opened
            opened.connection.close()
    with suppress(FexpError):
        return _opened(storage, _connect(storage, build(storage), limits))
    with suppress(FexpError, OSError):
        return _opened(storage, _connect(storage, _build(storage, storage.cache()), limits))
    connection = _connect(storage, ":memory:", limits)
    _write(connection, storage)
    return _opened(storage, connection)


def build(storage: Storage) -> str:
    """Build the catalog under a temporary name, put it in place, and return its file name.

    Raises
    ------
    FexpError
        If it cannot be written; the catalog that was there stays.
    """
    path = _build(storage, storage)
    storage.delete(f"{FILE_NAME}.wal")  # of another's catalog: DuckDB would replay it on this one
    checked.check(storage, {FILE_NAME: storage.sha256(FILE_NAME)})
    return path


def _build(storage: Storage, place: Storage) -> str:
    with place.replacing(FILE_NAME) as temporary:
        try:
            with _connect(storage, temporary, {}, write=True) as connection:
                _write(connection, storage)
        except (duckdb.Error, OSError) as error:
            said = cause(error) or str(error).splitlines()[0]
            raise FexpError(
                f"The catalog of {storage.location} cannot be written: {said}"
            ) from error
    return place.uri(FILE_NAME)


def _believed(storage: Storage) -> Iterator[str]:
    """Give the catalogs of the warehouse that this user has built, and nobody has touched since."""
    with suppress(FexpError):
        if checked.known(storage, [FILE_NAME]) and not storage.exists(f"{FILE_NAME}.wal"):
            yield storage.uri(FILE_NAME)
    with suppress(OSError, FexpError):
        if storage.cache().exists(FILE_NAME):
            yield storage.cache().uri(FILE_NAME)


def _connect(
    storage: Storage, path: str, limits: Mapping[str, str | int], *, write: bool = False
) -> duckdb.DuckDBPyConnection:
    """Open a connection that can read the files of the tables and one database, nothing else.

    The database is attached to a private in-memory one, since DuckDB would otherwise hand a process
    its own earlier instance of the path, with the earlier content.
    """
    root = storage.uri()
    places = sorted({root, literal(root)})
    folders = [f"{place}/{name}/" for place in places for name in ("activations", "results")]
    settings = {
        "TimeZone": "UTC",
        "enable_progress_bar": False,  # it would go to standard output
        "parquet_metadata_cache": True,  # a committed file never changes
        **limits,
        "temp_directory": storage.local("spill") or "",
        "allowed_directories": folders,
        "allowed_paths": [path, *(f"{path}{ending}" for ending in BESIDE_DATABASES)],
        "enable_external_access": False,
        "lock_configuration": True,
    }
    connection = duckdb.connect()
    connection.execute(f"SET VARIABLE {scans.ROOT} = {quote(literal(root))}")
    for name, value in settings.items():
        connection.execute(f"SET {name} = {_setting(value)}")
    connection.execute(
        f"ATTACH {quote(path)} AS catalog {'' if write or path == ':memory:' else '(READ_ONLY)'}"
    )
    connection.execute("USE catalog")
    return connection


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(quote, value))}]"
    return quote(value) if isinstance(value, str) else str(value)


def _opened(storage: Storage, connection: duckdb.DuckDBPyConnection) -> Opened:
    (text,) = connection.execute("SELECT state FROM stored.catalog_state").fetchall()[0]
    state = json.loads(text)
    examined = contents.examine(
        storage, connection.sql(f"SELECT {', '.join(LISTED)} FROM stored.listed").pl()
    )
    broken = {folder: sentence for folder, (sentence, _) in state["broken"].items()}
    now = _state(storage, contents.versions(storage), examined.faults, broken)
    return Opened(connection, now == state, state["versions"], broken, *examined)


def _state(
    storage: Storage, versions: dict[str, int], faults: dict[str, str], broken: dict[str, str]
) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "definitions": schemas.fingerprint(),
        "versions": versions,
        "faults": faults,
        "broken": {
            folder: [sentence, contents.signature(storage, folder)]
            for folder, sentence in broken.items()
        },
    }


def _write(connection: duckdb.DuckDBPyConnection, storage: Storage) -> None:
    """Write everything into the catalog of a connection."""
    versions = contents.versions(storage)
    found = contents.read(storage)
    faults = contents.examine(storage, found.listed).faults
    state = _state(storage, versions, faults, found.broken)
    connection.execute("BEGIN")
    connection.execute("CREATE SCHEMA stored")
    _store_tables(connection, found, faults)
    _store_listed(connection, found)
    for name in _PUBLISHED:
        text = (files("fexp_store") / "data" / f"{name}.csv").read_bytes()
        _copy(connection, name, pl.read_csv(text))
    # Views are built on parts, and macros on views.
    for statements in (schemas.sql("parts"), schemas.views(), schemas.sql("macros")):
        for statement in statements.values():
            connection.execute(statement)
    _comment(connection)
    connection.execute(
        "CREATE TABLE stored.catalog_state AS SELECT ? AS state", [json.dumps(state)]
    )
    connection.execute("COMMIT")
    _show_saved(connection, found, faults)  # one that cannot be shown would undo everything above
    # Closing would write the file too, but says nothing if it cannot.
    connection.execute("CHECKPOINT catalog")


def _store_tables(
    connection: duckdb.DuckDBPyConnection, found: Contents, faults: dict[str, str]
) -> None:
    for name, schema in schemas.tables().items():
        if name in found.broken:
            empty = schema.arrow.empty_table()
            copied = pl.DataFrame(empty).to_arrow() if schema.kept == "copied" else empty
            query = scans.failing(found.broken[name], _types(connection, copied))
        elif schema.kept == "copied":
            _copy(connection, schema.short_name, found.rows[name])
            continue
        else:
            query = _scan(connection, name, found.kept[name], faults)
        connection.execute(f"CREATE VIEW stored.{schema.short_name} AS {query}")


def _store_listed(connection: duckdb.DuckDBPyConnection, found: Contents) -> None:
    """Store what is asked of files; asking for those of a table without a readable log fails."""
    _copy(connection, "listed", found.listed)
    _copy(connection, "foreign_files", found.foreign)
    said = {name: scans.told(text) for name, text in found.broken.items()}
    columns = {"table_name": list(said), "said": list(said.values())}
    _copy(connection, "broken", pl.DataFrame(columns, dict.fromkeys(columns, pl.String)))
    asked = [name for name in found.listed.columns if name not in LISTED]
    arms = [f"SELECT {', '.join(asked)} FROM stored.listed"]
    types = dict.fromkeys(asked, "VARCHAR")
    arms += [scans.failing(text, types, {"table_name": n}) for n, text in found.broken.items()]
    connection.execute(f"CREATE VIEW stored.files AS {' UNION ALL '.join(arms)}")


def _show_saved(
    connection: duckdb.DuckDBPyConnection, found: Contents, faults: dict[str, str]
) -> None:
    connection.execute("CREATE SCHEMA saved")
    counts = "run_id IN (SELECT run_id FROM stored.newest_runs WHERE kind = 'query')"
    broken = {name: said for name, said in found.broken.items() if name not in schemas.tables()}
    for folder, kept in found.saved.items():
        try:
            scan = _scan(connection, folder, kept, faults)
            connection.execute(f"CREATE VIEW {_view(folder)} AS FROM ({scan}) WHERE {counts}")
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
            said = " ".join(str(error).split("\n\n")[0].split())
            broken[folder] = f"The columns of {folder} cannot be shown ({said})."
    for folder, sentence in broken.items():
        fails = scans.failing(sentence, {"run_id": "VARCHAR"})
        connection.execute(f"CREATE VIEW {_view(folder)} AS {fails}")


def _view(folder: str) -> str:
    return f"saved.{identifier(folder.rpartition('/')[2])}"


def _scan(
    connection: duckdb.DuckDBPyConnection, folder: str, kept: Kept, faults: dict[str, str]
) -> str:
    types = _types(connection, kept.schema.empty_table())
    rows = kept.files.select("path", *(k for k in kept.keys if k in kept.files.columns)).iter_rows()
    return scans.union(folder, types, kept.keys, ((r[0], r[1:]) for r in rows), faults)


def _types(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> dict[str, str]:
    relation = connection.from_arrow(table)
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


def _copy(connection: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> None:
    connection.register("frame", frame.to_arrow())
    connection.execute(f"CREATE TABLE stored.{name} AS FROM frame")
    connection.unregister("frame")


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    """Comment on every public view, on each of its columns, and on every macro."""
    about = {f"VIEW {view}": schemas.comment(view) for view in schemas.views()}
    for macro, statement in schemas.sql("macros").items():
        about[f"MACRO TABLE {macro}"] = schemas.header(statement)
    public = "FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal"
    columns = connection.execute(f"SELECT table_name, column_name {public}").fetchall()
    for view, column in columns:
        about[f'COLUMN {view}."{column}"'] = schemas.comment(view, column)
    script = (f"COMMENT ON {what} IS {quote(text)};" for what, text in about.items() if text)
    connection.execute("".join(script))

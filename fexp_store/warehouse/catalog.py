"""The DuckDB catalog: an index over the files of known Delta versions, rebuilt when stale."""

from __future__ import annotations

import json
from importlib.resources import files

import duckdb
import polars as pl

from fexp_store import schemas
from fexp_store.errors import FexpError
from fexp_store.warehouse import saved, tables
from fexp_store.warehouse.storage import Storage

FILE_NAME = "catalog.duckdb"
_FORMAT = 1
_PUBLISHED = ("published_results", "published_confusions")


def refresh(storage: Storage) -> str:
    """Return the file name of a catalog of the newest version of every table, built if need be."""
    current = storage.exists(FILE_NAME) and _recorded_state(storage) == _current_state(storage)
    return storage.uri(FILE_NAME) if current else build(storage)


def build(storage: Storage) -> str:
    """Build the catalog under a temporary name, put it in place, and return its file name.

    Raises
    ------
    FexpError
        If it cannot be written (a full disk); the catalog that was there stays.
    """
    with storage.replacing(FILE_NAME) as temporary:
        try:
            _write(temporary, storage)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise FexpError(
                f"The catalog of {storage.location} could not be written ({reason}); "
                "is the disk full?"
            ) from error
    return storage.uri(FILE_NAME)


def _write(path: str, storage: Storage) -> None:
    state = _current_state(storage)
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("BEGIN")
        connection.execute("CREATE SCHEMA stored")
        _store_tables(connection, storage)
        _store_published(connection)
        # Views are built on parts, and macros on views.
        for statements in (schemas.sql("parts"), schemas.views(), schemas.sql("macros")):
            for statement in statements.values():
                connection.execute(statement)
        _show_saved(connection, storage)
        _comment(connection)
        connection.execute("CREATE TABLE stored.catalog_state AS SELECT ? AS state", [state])
        connection.execute("COMMIT")
        # Closing would write the file too, but says nothing if it cannot.
        connection.execute("CHECKPOINT")


def attach(
    storage: Storage, *, memory_limit: str, threads: int | None
) -> duckdb.DuckDBPyConnection:
    """Open a connection on the current catalog, read-only and shut off from everything else.

    The catalog is attached to a private in-memory database, since DuckDB would otherwise hand
    a process its own earlier instance of the path, with the earlier content.
    """
    path = refresh(storage)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would go to standard output
    connection.execute("SET parquet_metadata_cache = true")  # a committed file never changes
    connection.execute(f"SET memory_limit = {_quote(memory_limit)}")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    connection.execute(f"SET temp_directory = {_quote(storage.local('spill'))}")
    connection.execute(f"ATTACH {_quote(path)} AS catalog (READ_ONLY)")
    connection.execute("USE catalog")
    readable = ", ".join(_quote(f"{storage.uri(folder)}/") for folder in ("activations", "results"))
    connection.execute(f"SET allowed_directories = [{readable}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _current_state(storage: Storage) -> str:
    state = {
        "format": _FORMAT,
        "definitions": schemas.fingerprint(),
        "root": storage.location,
        "versions": tables.log_versions(storage),
        "saved": saved.names(storage),
    }
    return json.dumps(state, sort_keys=True)


def _recorded_state(storage: Storage) -> str | None:
    path = storage.uri(FILE_NAME)
    try:
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH {_quote(path)} AS recorded (READ_ONLY)")
            row = connection.execute("SELECT state FROM recorded.stored.catalog_state").fetchone()
    except duckdb.Error:  # of another DuckDB version, or damaged: it is disposable
        return None
    return None if row is None else str(row[0])


def _store_tables(connection: duckdb.DuckDBPyConnection, storage: Storage) -> None:
    listings = []
    for name, schema in schemas.tables().items():
        if schema.kept == "in_files":
            listing = tables.files(tables.open_table(storage, name))
            _create_file_view(connection, storage, schema, listing["path"].to_list())
            keys = [key for key in schema.partition_by if key in listing.columns]
            listings.append(listing.select(pl.lit(name).alias("table_name"), "path", *keys))
        else:
            # Sorted once here; a view with ORDER BY would be sorted in every query that joins it.
            _copy(connection, name, tables.read(storage, name).sort(schema.order_by))
    _copy(connection, "files", pl.concat(listings, how="diagonal"))


def _show_saved(connection: duckdb.DuckDBPyConnection, storage: Storage) -> None:
    connection.execute("CREATE SCHEMA saved")
    counts = "run_id IN (SELECT run_id FROM stored.newest_runs WHERE kind = 'query')"
    for name in saved.names(storage):
        if paths := saved.files(storage, name):
            listed = ", ".join(_quote(storage.uri(path)) for path in paths)
            source = f"read_parquet([{listed}], hive_partitioning = true)"
            connection.execute(f'CREATE VIEW saved."{name}" AS FROM {source} WHERE {counts}')


def _store_published(connection: duckdb.DuckDBPyConnection) -> None:
    for name in _PUBLISHED:
        text = (files("fexp_store") / "data" / f"{name}.csv").read_bytes()
        _copy(connection, name, pl.read_csv(text))


def _copy(connection: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> None:
    connection.register("frame", frame.to_arrow())
    connection.execute(f"CREATE TABLE stored.{name} AS FROM frame")
    connection.unregister("frame")


def _create_file_view(
    connection: duckdb.DuckDBPyConnection,
    storage: Storage,
    schema: schemas.TableSchema,
    paths: list[str],
) -> None:
    if not paths:
        _copy(connection, schema.short_name, pl.DataFrame(schema.arrow.empty_table()))
        return
    listed = ", ".join(_quote(storage.uri(f"{schema.name}/{path}")) for path in paths)
    types = ", ".join(f"{key}: VARCHAR" for key in schema.partition_by)
    # Said here, columns that files of earlier versions lack are null, and no file is opened to ask.
    in_files = ", ".join(
        f"'{field.name}': {{name: '{field.name}', type: '{field.type}', default_value: NULL}}"
        for field in schema.arrow  # DuckDB knows Arrow's names of the types of results
        if field.name not in schema.partition_by
    )
    options = f"hive_partitioning = true, hive_types = {{{types}}}, schema = MAP {{{in_files}}}"
    connection.execute(
        f"CREATE VIEW stored.{schema.short_name} AS "
        f"SELECT {', '.join(schema.arrow.names)} FROM read_parquet([{listed}], {options})"
    )


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    """Comment on every public view, on each of its columns, and on every macro."""
    about = {f"VIEW {view}": schemas.comment(view) for view in schemas.views()}
    for macro, statement in schemas.sql("macros").items():
        about[f"MACRO TABLE {macro}"] = schemas.header(statement)
    public = "FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal"
    columns = connection.execute(f"SELECT table_name, column_name {public}").fetchall()
    for view, column in columns:
        about[f'COLUMN {view}."{column}"'] = schemas.comment(view, column)
    script = (f"COMMENT ON {what} IS {_quote(text)};" for what, text in about.items() if text)
    connection.execute("".join(script))


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""The DuckDB catalog: an index over the files of known Delta versions, rebuilt when stale."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import duckdb
import polars as pl

from fexp_store import schemas
from fexp_store.errors import FexpError
from fexp_store.warehouse import saved, tables
from fexp_store.warehouse.files import inside, replacing

FILE_NAME = "catalog.duckdb"
_FORMAT = 1
_PUBLISHED = ("published_results", "published_confusions")


def refresh(root: Path) -> Path:
    """Return the path of a catalog of the newest version of every table, built if need be."""
    path = root / FILE_NAME
    return path if _recorded_state(path) == _current_state(root) else build(root)


def build(root: Path) -> Path:
    """Build the catalog under a temporary name, rename it into place, and return its path.

    Raises
    ------
    FexpError
        If it cannot be written (a full disk); the catalog that was there stays.
    """
    with replacing(root / FILE_NAME) as temporary:
        try:
            _write(temporary, root)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise FexpError(
                f"The catalog of {root} could not be written ({reason}); is the disk full?"
            ) from error
        finally:
            temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
    return root / FILE_NAME


def _write(path: Path, root: Path) -> None:
    state = _current_state(root)
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("BEGIN")
        connection.execute("CREATE SCHEMA stored")
        _store_tables(connection, root)
        _store_published(connection)
        _show_saved(connection, root)
        # Views are built on parts, and macros on views.
        for statements in (schemas.sql("parts"), schemas.views(), schemas.sql("macros")):
            for statement in statements.values():
                connection.execute(statement)
        _comment(connection)
        connection.execute("CREATE TABLE stored.catalog_state AS SELECT ? AS state", [state])
        connection.execute("COMMIT")
        # Closing would write the file too, but says nothing if it cannot.
        connection.execute("CHECKPOINT")


def attach(root: Path, *, memory_limit: str, threads: int | None) -> duckdb.DuckDBPyConnection:
    """Open a connection on the current catalog, read-only and shut off from everything else.

    The catalog is attached to a private in-memory database, since DuckDB would otherwise hand
    a process its own earlier instance of the path, with the earlier content.
    """
    path = refresh(root)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would go to standard output
    connection.execute("SET parquet_metadata_cache = true")  # a committed file never changes
    connection.execute(f"SET memory_limit = {_quote(memory_limit)}")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    connection.execute(f"SET temp_directory = {_quote(str(root / '.local' / 'spill'))}")
    connection.execute(f"ATTACH {_quote(str(path))} AS catalog (READ_ONLY)")
    connection.execute("USE catalog")
    readable = ", ".join(_quote(f"{root}/{folder}/") for folder in ("activations", "results"))
    connection.execute(f"SET allowed_directories = [{readable}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _current_state(root: Path) -> str:
    state = {
        "format": _FORMAT,
        "definitions": schemas.fingerprint(),
        "root": str(root),
        "versions": tables.log_versions(root),
        "saved": saved.names(root),
    }
    return json.dumps(state, sort_keys=True)


def _recorded_state(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH {_quote(str(path))} AS recorded (READ_ONLY)")
            row = connection.execute("SELECT state FROM recorded.stored.catalog_state").fetchone()
    except duckdb.Error:  # of another DuckDB version, or damaged: it is disposable
        return None
    return None if row is None else str(row[0])


def _store_tables(connection: duckdb.DuckDBPyConnection, root: Path) -> None:
    listings = []
    for name, schema in schemas.tables().items():
        if schema.kept == "in_files":
            listing = tables.files(tables.open_table(root, name))
            _create_file_view(connection, root / name, schema, listing["path"].to_list())
            keys = [key for key in schema.partition_by if key in listing.columns]
            listings.append(listing.select(pl.lit(name).alias("table_name"), "path", *keys))
        else:
            # Sorted once here; a view with ORDER BY would be sorted in every query that joins it.
            _copy(connection, name, tables.read(root, name).sort(schema.order_by))
    _copy(connection, "files", pl.concat(listings, how="diagonal"))


def _show_saved(connection: duckdb.DuckDBPyConnection, root: Path) -> None:
    connection.execute("CREATE SCHEMA saved")
    for name in saved.names(root):
        if paths := saved.newest_files(root, name):
            listed = ", ".join(_quote(str(inside(root, path))) for path in paths)
            source = f"read_parquet([{listed}], hive_partitioning = true)"
            connection.execute(f'CREATE VIEW saved."{name}" AS FROM {source}')


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
    directory: Path,
    schema: schemas.TableSchema,
    paths: list[str],
) -> None:
    if not paths:
        _copy(connection, schema.short_name, pl.DataFrame(schema.arrow.empty_table()))
        return
    listed = ", ".join(_quote(str(inside(directory, path))) for path in paths)
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

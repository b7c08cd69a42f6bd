"""What errors come from: those that the system and the libraries really raise."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from deltalake import DeltaTable, write_deltalake

from fexp_store.causes import cause, fault, sentence
from fexp_store.errors import BadInput

FULL = "The disk"
TOO_LARGE = "A file"
ROWS = pa.table({"x": np.random.default_rng(0).random(10_000)})


@contextmanager
def small_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_duckdb(folder: Path) -> None:
    with duckdb.connect(folder / "x.duckdb") as connection:
        connection.execute("CREATE TABLE t AS FROM range(100000)")
        connection.execute("CHECKPOINT")


WRITERS: dict[str, Callable[[Path], object]] = {
    "Python": lambda folder: (folder / "x").write_bytes(bytes(9999)),
    "Arrow": lambda folder: pq.write_table(ROWS, folder / "x.parquet"),
    "polars": lambda folder: pl.DataFrame({"x": range(9999)}).write_parquet(folder / "x.parquet"),
    "Delta Lake": lambda folder: write_deltalake(folder / "x", ROWS),
    "DuckDB": write_duckdb,
}


@pytest.mark.parametrize("library", WRITERS)
def test_a_file_that_may_not_grow_is_told_by_every_library(library: str, tmp_path: Path) -> None:
    with pytest.raises(Exception) as raised, small_files():  # noqa: PT011 (of any kind)
        WRITERS[library](tmp_path)
    said = cause(raised.value)
    assert said is not None
    assert "may not grow as large as is needed" in said


OPENERS: dict[str, Callable[[Path], object]] = {
    "Python": lambda path: path.read_bytes(),
    "Arrow": lambda path: pq.read_table(path / "x.parquet"),
    "Delta Lake": lambda path: DeltaTable(path / "table"),
    "DuckDB": lambda path: duckdb.connect(path / "x.duckdb"),
}


@pytest.mark.parametrize("library", OPENERS)
def test_a_loop_of_links_is_told_by_every_library(library: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(Exception) as raised:  # noqa: PT011
        OPENERS[library](loop)
    said = cause(raised.value)
    assert said is not None
    assert ("round in a circle" in said) or ("is not there" in said)


def test_words_of_the_system_win_over_those_of_a_library(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "part"))
    with pytest.raises(pa.ArrowInvalid) as raised:
        raise pa.ArrowInvalid("Parquet magic bytes not found") from full
    assert cause(raised.value) == f"The disk in {tmp_path} is full; free some space, then run " + (
        "the same command again; what was committed stays."
    )


NUMBERS = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "quota",
    errno.EROFS: "Nothing can be written",
    errno.EACCES: "ask its owner",
    errno.EMFILE: "ulimit -n",
    errno.ENOMEM: "memory",
    errno.EIO: "fails to read or write",
    errno.ESTALE: "does not answer",
    errno.ETIMEDOUT: "does not answer",
}


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    "text",
    [
        "Generic LocalFileSystem error: Unable to copy data to file: {words} (os error {number})",
        'Could not create local directory: /x Error: Os {{ code: {number}, kind: X, message: "" }}',
        'IO Error: Could not write file "/data/x.parquet": {words}',
        "[Errno {number}] Cannot write: {words}",
    ],
    ids=["object_store", "Rust", "DuckDB", "Arrow"],
)
def test_the_ways_in_which_libraries_say_a_number(number: int, text: str) -> None:
    error = Exception(text.format(number=number, words=os.strerror(number)))
    assert NUMBERS[number] in str(cause(error))
    assert NUMBERS[number] in str(cause(OSError(number, "in other words")))


def test_a_question_with_such_words_in_it_is_no_full_disk() -> None:
    with pytest.raises(duckdb.Error) as raised:
        duckdb.sql("SELECT error('No space left on device')").fetchall()
    assert cause(raised.value) is None


MEMORY: dict[str, Callable[[], object]] = {
    "NumPy": lambda: np.empty(1 << 55),
    "PyTorch": lambda: torch.empty(1 << 55),
    "Arrow": lambda: pa.allocate_buffer(1 << 60),
    "Python": lambda: bytes(1 << 60),
    "DuckDB": lambda: small_duckdb().sql("SELECT list(range) FROM range(9999999)").fetchall(),
}


def small_duckdb() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET memory_limit = '5MB'; SET temp_directory = ''")
    return connection


@pytest.mark.parametrize("library", MEMORY)
def test_memory_that_runs_out_is_told_by_every_library(library: str) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011
        MEMORY[library]()
    assert "not enough memory" in str(cause(raised.value))


def test_damage_is_told_with_what_finds_it(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "x.sqlite").write_bytes(bytes(range(256)) * 10)
    write_deltalake(tmp_path / "table", ROWS)
    log = tmp_path / "table" / "_delta_log" / "00000000000000000000.json"
    log.write_text('{"commitInfo"')
    for read in (
        lambda: pq.read_table(tmp_path / "x.parquet"),
        lambda: sqlite3.connect(tmp_path / "x.sqlite").execute("SELECT 1 FROM x"),
        lambda: DeltaTable(tmp_path / "table"),
    ):
        with pytest.raises(Exception) as raised:  # noqa: PT011
            read()
        said = cause(raised.value)
        assert said is not None
        assert said.endswith("run: fexp verify")
        assert "\n" not in said


def test_what_nobody_foresaw_is_our_fault_and_one_line() -> None:
    error = KeyError("a\nb")
    assert cause(error) is None
    assert sentence(error) == fault(error)
    assert "fault of fexp-store (KeyError: 'a\\nb')" in fault(error)
    assert "fexp --debug" in fault(error)
    assert sentence(BadInput("So.")) == "So."

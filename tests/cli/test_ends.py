"""How commands end: exit codes that are true, whatever becomes of what they print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.forked import Forked

from fexp_store import Warehouse
from fexp_store.cli.output import Format

FORMATS = [form.value for form in Format]


def started(wh: Warehouse, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fexp_store.cli", "-w", wh.location, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, errors="replace")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_what_nobody_reads_on_ends_quietly(form: str, ingested: Warehouse) -> None:
    with started(ingested, "sql", "FROM range(5000000)", "-f", form) as child:
        assert child.stdout is not None
        assert child.stdout.read(3)
        child.stdout.close()
        said = child.stderr.read() if child.stderr else ""
    assert (child.returncode, said) == (128 + 13, "")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_what_nobody_reads_at_all_ends_quietly(form: str, ingested: Warehouse) -> None:
    with started(ingested, "sql", "SELECT 1 AS x", "-f", form) as child:
        assert child.stdout is not None
        child.stdout.close()
        said = child.stderr.read() if child.stderr else ""
    assert (child.returncode, said) == (128 + 13, "")


@pytest.mark.slow
def test_messages_that_nobody_reads_end_quietly(ingested: Warehouse) -> None:
    with started(ingested, "sql", "SELECT nothing") as child:
        assert child.stderr is not None
        child.stderr.close()
    assert child.returncode == 128 + 13


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("form", FORMATS)
def test_output_that_does_not_fit_is_an_error(
    form: str, forked: Forked, ingested: Warehouse
) -> None:
    for query in ("SELECT 1 AS x", "FROM range(300000)"):
        done = forked("-w", ingested.location, "sql", query, "-f", form, stdout="/dev/full")
        assert done.code == 1
        assert done.sentence.startswith("Error: The disk is full; ")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_no_standard_output_is_an_error(form: str, ingested: Warehouse) -> None:
    command = [sys.executable, "-m", "fexp_store.cli", "-w", ingested.location]
    done = subprocess.run(
        [*command, "sql", "SELECT 1 AS x", "-f", form],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: os.close(1),
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Standard output is closed" in done.stderr


def test_debug_shows_the_traceback_and_the_sentence(forked: Forked, ingested: Warehouse) -> None:
    done = forked("--debug", "-w", ingested.location, "sql", "SELECT nothing")
    assert done.code == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("Error: DuckDB refuses the query: ")

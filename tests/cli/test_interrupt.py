"""Ctrl-C while a question is being answered, in the shell and on the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psutil import Process

from fexp_store import Warehouse

pytestmark = pytest.mark.slow

# Hours of work that DuckDB cannot shorten.
LONG = (
    "SELECT count(*) FROM range(10000000000) a, range(1000000) b WHERE hash(a.range + b.range) = 1"
)


@contextmanager
def started(wh: Warehouse, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-u",
        "-m",
        "fexp_store.cli",
        "-w",
        wh.location,
        *arguments,
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def wait_until_busy(child: subprocess.Popen[str]) -> None:
    """Wait for a second of CPU time more than now, which only the long question takes."""
    process = Process(child.pid)
    begun = sum(process.cpu_times()[:2])
    deadline = time.monotonic() + 60
    while sum(process.cpu_times()[:2]) < begun + 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_shell_answers_the_next_question(ingested: Warehouse) -> None:
    with started(ingested, "sql") as child:
        child.stdin.write("SELECT 40 + 2 AS x;\n")
        child.stdin.flush()
        assert any("42" in line for line in child.stdout)
        child.stdin.write(f"{LONG};\n")
        child.stdin.flush()
        wait_until_busy(child)
        child.send_signal(signal.SIGINT)
        rest, words = child.communicate("SELECT 40 + 3 AS x;\n", timeout=30)
    assert "43" in rest
    assert words.strip().endswith("Interrupted.")
    assert child.returncode == 0


def test_a_question_on_the_command_line_ends(ingested: Warehouse) -> None:
    with started(ingested, "sql", LONG) as child:
        wait_until_busy(child)
        time.sleep(2)  # past the imports
        child.send_signal(signal.SIGINT)
        rest, words = child.communicate(timeout=30)
    assert rest == ""
    assert child.returncode == 130
    assert "Traceback" not in words
    assert words.count("\n") == 1

"""Commands in processes of their own, forked from one that has imported everything: quick to start.

What runs is the real command line, under limits, with its own standard streams; only its imports
were done before. `python forked.py` is the process that forks.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

PRELOADED = (
    *("fexp_store.cli", "fexp_store.analyses", "fexp_store.study.run", "fexp_store.stimuli.make"),
    *("fexp_store.networks.registry", "fexp_store.ingest.run", "fexp_store.warehouse.saved"),
    *("torch", "scipy.stats", "sklearn.svm", "duckdb", "deltalake", "polars", "pyarrow.parquet"),
    *("filelock", "h5py", "tomllib", "PIL.PngImagePlugin", "modulefinder"),
)
SECONDS = 20
ADDRESSES = 16 << 30  # bytes of addresses that a command may ask for, as a safety net


@dataclass(frozen=True)
class Done:
    """How a command ended; a negative code is the signal that ended it."""

    code: int
    stdout: bytes
    stderr: str
    seconds: float
    memory: int  # bytes that it took besides what its libraries do

    @property
    def sentence(self) -> str:
        """What it said in its only line."""
        assert self.stderr.count("\n") == 1, self.stderr
        assert "Traceback" not in self.stderr
        return self.stderr.removesuffix("\n")


class Forked:
    """Runs commands."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def __call__(
        self,
        *arguments: str | Path,
        cwd: str | Path | None = None,
        stdout: str | None = None,
        environment: dict[str, str] | None = None,
        ordinary: bool = False,
        seconds: int = SECONDS,
        **limits: int,
    ) -> Done:
        """Run a command.

        Parameters
        ----------
        stdout : str, optional
            Where its output goes instead.
        ordinary : bool
            As one to whom permissions of files apply, also if these tests run as root.
        **limits : int
            By the name of ``RLIMIT_…`` in small letters.
        """
        job = {
            "arguments": list(map(os.fsdecode, arguments)),
            "cwd": str(cwd or self._folder),
            "stdout": stdout,
            "environment": environment or {},
            "ordinary": ordinary,
            "seconds": seconds,
            "limits": limits,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        out, said = (b64decode(answer[name]) for name in ("stdout", "stderr"))
        words = said.decode("utf-8", errors="surrogateescape")
        return Done(answer["code"], out, words, answer["seconds"], answer["memory"])


@contextmanager
def forking(folder: Path) -> Iterator[Forked]:
    """Start the process that forks; it ends with the block."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield Forked(process, folder)
        process.kill()


def _serve(jobs: Iterator[str]) -> None:
    for name in PRELOADED:
        __import__(name)
    for line in jobs:
        job = json.loads(line)
        begun = time.monotonic()
        pipes = [os.pipe(), os.pipe()]
        if (child := os.fork()) == 0:
            _run(job, [end for _, end in pipes])
        out, said = _read([end for end, _ in pipes], [end for _, end in pipes])
        _, status, used = os.wait4(child, 0)
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "seconds": time.monotonic() - begun,
            "memory": (used.ru_maxrss << 10) - _pages(1),
            "stdout": b64encode(out).decode(),
            "stderr": b64encode(said).decode(),
        }
        print(json.dumps(answer), flush=True)


def _read(ends: list[int], others: list[int]) -> list[bytes]:
    for end in others:
        os.close(end)
    content, left = dict.fromkeys(ends, b""), set(ends)
    while left:
        for end in select.select(left, [], [])[0]:
            block = os.read(end, 1 << 16)
            content[end] += block
            if not block:
                left.remove(end)
                os.close(end)
    return [content[end] for end in ends]


def _run(job: dict[str, Any], streams: list[int]) -> NoReturn:
    code = 99
    try:
        os.environ.update(job["environment"])
        os.chdir(job["cwd"])
        if job["stdout"] is not None:
            streams[0] = os.open(job["stdout"], os.O_WRONLY | os.O_CREAT)
        for number, stream in enumerate([os.open(os.devnull, os.O_RDONLY), *streams]):
            os.dup2(stream, number)
        os.closerange(3, 64)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8") for n in (1, 2))
        if job["ordinary"]:
            _become_ordinary()
        _limit(job)
        code = _command(job["arguments"])
    finally:
        os._exit(code)


def _command(arguments: list[str]) -> int:
    from fexp_store.cli import app

    code = 0
    try:
        app(arguments, prog_name="fexp")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # Python says so as it ends, and ends with this
            code = 120
    return code


def _limit(job: dict[str, Any]) -> None:
    signal.alarm(job["seconds"])
    limits = {"as": _pages(0) + ADDRESSES} | job["limits"]
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (value, value))


def _pages(which: int) -> int:
    """Bytes of addresses (0) or of memory (1) that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[which]) * resource.getpagesize()


def _become_ordinary() -> None:
    """Give up root's right to read and write everything, but stay who one is."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)

        class Header(ctypes.Structure):
            _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

        none = (ctypes.c_uint32 * 6)()
        if libc.capset(ctypes.byref(Header(0x20080522, 0)), none) != 0:
            raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    _serve(iter(sys.stdin.readline, ""))

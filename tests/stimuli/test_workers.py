"""Processes that render end with the command that they work for, however it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from fexp_store.stimuli.made.workers import spread

CODE = """
import time
from fexp_store.stimuli.made.workers import spread
if __name__ == "__main__":
    with spread(time.sleep, [0, 0, 600, 600]) as done:
        for _ in done:
            print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_workers_do_not_outlive_a_killed_command(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE)
    command = [sys.executable, tmp_path / "code.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        workers = children(process.pid)
        assert workers
        process.kill()
    deadline = time.monotonic() + 20
    while any(map(runs, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    stats = ((path, path.read_text()) for path in Path("/proc").glob("[0-9]*/stat"))
    return [int(path.parent.name) for path, said in stats if fields(said)[1] == str(pid)]


def runs(pid: int) -> bool:
    try:
        return fields(Path(f"/proc/{pid}/stat").read_text())[0] != "Z"
    except FileNotFoundError:
        return False


def fields(stat: str) -> list[str]:
    """The fields after the name, which may have spaces: state, parent, …"""
    return stat.rpartition(")")[2].split()


def test_what_is_not_begun_when_the_block_ends_is_not_done(tmp_path: Path) -> None:
    with spread(Path.touch, tasks(tmp_path)) as done:
        next(done)
    assert 0 < len(list(tmp_path.iterdir())) < 5000


def tasks(folder: Path) -> list[Path]:
    return [folder / str(number) for number in range(5000)]

"""A warehouse to attack, and around it a tree that no attack may read, change or add to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import duckdb
import polars as pl

from support.forked import Done, Forked

SECRET = "canary-5d1f0c"
MEMORY = 800 << 20  # bytes besides what libraries take once they are imported
NUMBERS = "SELECT count(*), sum(unit_id * activation) FROM activations"


@dataclass
class Victim:
    """A copy of that warehouse, and the tree around it.

    Parameters
    ----------
    path : Path
        Of the warehouse.
    outside : Path
        A folder with secrets.
    """

    path: Path
    outside: Path
    run: Forked
    true_numbers: bytes

    def __call__(
        self,
        *arguments: str | Path,
        at: Path | None = None,
        environment: dict[str, str] | None = None,
        memory: int = MEMORY,
        reads: bool = False,
        **limits: int,
    ) -> Done:
        """Run a command on it: within 20 s and 1 GiB it is done or refused in one sentence.

        Parameters
        ----------
        at : Path, optional
            Another warehouse.
        memory : int
            Bytes that it may take.
        reads : bool
            Whether it was told to read what lies outside.
        """
        self._around()  # from now on, it is seen who reads what was planted
        before = self._around()
        done = self.run(
            "-w",
            at or self.path,
            *arguments,
            cwd=self.outside.parent / "work",
            environment=environment,
            **limits,
        )
        assert done.code in (0, 1), (done.code, done.stderr)
        assert done.memory < memory
        if done.code == 1:
            assert done.sentence.startswith("Error: ")
            assert "fault of fexp-store" not in done.sentence
            assert len(done.sentence) < 1500
        shown = done.stdout + done.stderr.encode("utf-8", "surrogateescape")
        assert SECRET.encode() not in shown
        assert not any(byte in shown for byte in b"\x1b\x00\x07\x08")
        assert self._around() == before or (reads and self._around() == before)
        return done

    def _around(self) -> tuple[object, ...]:
        root = self.outside.parent
        return tree(self.outside), sorted(p for p in root.rglob("*") if self.path not in p.parents)

    def numbers_are_true_or_refused(self) -> Done:
        """Ask for a sum over all activations: it is right, or nothing is answered."""
        done = self("sql", NUMBERS, "-f", "csv")
        assert done.code == 1 or done.stdout == self.true_numbers
        return done

    def log(self, table: str) -> list[Path]:
        """The commits of a table."""
        return sorted((self.path / table / "_delta_log").glob("*.json"))

    def commit(self, table: str, *actions: dict[str, object] | str | bytes) -> Path:
        """Write the next commit of a table by hand."""
        path = self.log(table)[-1].with_name(f"{len(self.log(table)):020}.json")
        lines = [json.dumps(a) if isinstance(a, dict) else a for a in actions]
        path.write_bytes(b"\n".join(x if isinstance(x, bytes) else x.encode() for x in lines))
        return path


def make_secrets(folder: Path) -> None:
    """Write files that nobody is to read, and have it seen who does."""
    (folder / "folder").mkdir(parents=True)
    for name in ("secret.txt", "folder/secret.txt", "catalog.duckdb.wal"):
        (folder / name).write_text(SECRET)
    frame = pl.DataFrame({"unit_id": [0], "stimulus_id": [0], "activation": [1e9], "s": [SECRET]})
    frame.write_parquet(folder / "secret.parquet")
    frame.write_csv(folder / "secret.csv")
    with duckdb.connect(folder / "secret.duckdb") as connection:
        connection.execute(f"CREATE TABLE secret AS SELECT '{SECRET}' AS s")
    tree(folder)


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """What a folder holds: kinds, sizes, times, contents; and whether somebody read it.

    A file that was read since it was looked at here has a later time of access, where the file
    system keeps that at all.
    """
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        found[str(path)] = (about.st_mode, about.st_mtime_ns, about.st_size)
        if path.is_file():
            read = about.st_atime_ns >= about.st_mtime_ns
            found[str(path)] += (read, sha256(path.read_bytes()).hexdigest())
            os.utime(path, ns=(about.st_mtime_ns - 1, about.st_mtime_ns))
    return found


Plant = Callable[[Victim], object]
"""Makes a warehouse hostile."""

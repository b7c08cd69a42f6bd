"""What was hashed on this machine is not hashed again, until the file is another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from fexp_store import Damaged
from fexp_store.progress import Advance
from fexp_store.warehouse import checked
from fexp_store.warehouse.storage import LocalStorage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """A place with two files, a and b, of the same size."""
    storage = LocalStorage(str(tmp_path))
    storage.write("a", b"first")
    storage.write("b", b"other")
    return storage


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


FILES = {"a": digest(b"first"), "b": digest(b"other")}


def read(storage: LocalStorage) -> list[int]:
    """The sizes that a check has to read: one number, or none if everything is remembered."""
    sizes: list[int] = []

    def started(total: int) -> Advance:
        sizes.append(total)
        return lambda _n: None

    checked.check(storage, FILES, started=started)
    return sizes


def test_a_file_is_read_once(storage: LocalStorage) -> None:
    assert checked.known(storage) == {}
    assert read(storage) == [10]
    assert checked.known(storage) == FILES
    assert read(storage) == []


def test_each_file_that_is_touched_is_read_again(storage: LocalStorage) -> None:
    read(storage)
    storage.write("a", b"first")
    assert checked.known(storage) == {"b": FILES["b"]}
    assert read(storage) == [5]


def swap(root: Path) -> None:
    (root / "a").rename(root / "c")
    (root / "b").rename(root / "a")
    (root / "c").rename(root / "b")


def edit(root: Path) -> None:
    """In place, with the times that it had."""
    times = (root / "a").stat()
    (root / "a").write_bytes(b"fIrst")
    os.utime(root / "a", ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("change", [swap, edit, lambda root: (root / "a").unlink()])
@pytest.mark.parametrize("before", [True, False])
def test_another_file_is_refused(
    storage: LocalStorage, change: Callable[[Path], None], before: bool
) -> None:
    if before:
        read(storage)
    change(Path(storage.location))
    with pytest.raises(Damaged, match="verify --repair"):
        read(storage)
    assert checked.known(storage).get("a") != FILES["a"]


def test_what_was_hashed_in_one_place_counts_in_no_other(
    storage: LocalStorage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    read(storage)
    other = LocalStorage(str(tmp_path_factory.mktemp("other")))
    shutil.copytree(storage.location, other.location, dirs_exist_ok=True)
    assert read(other) == [10]


@pytest.mark.parametrize("broken", ["a file", "no database"])
def test_without_a_cache_everything_is_read_each_time(
    storage: LocalStorage, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    if broken == "a file":
        cache.write_bytes(b"")
    else:
        cache.mkdir()
        (cache / "checked.sqlite").write_bytes(b"no database" * 1000)
    monkeypatch.setenv("FEXP_CACHE", str(cache))
    assert read(storage) == read(storage) == [10]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_refused_without_waiting_for_it(
    storage: LocalStorage, kind: str
) -> None:
    path = Path(storage.location) / "a"
    path.unlink()
    path.symlink_to("b") if kind == "link" else os.mkfifo(path)
    with pytest.raises(Damaged, match=r"is a link|no regular file"):
        read(storage)

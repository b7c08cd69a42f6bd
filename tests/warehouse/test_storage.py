"""What every storage must do, and that the storage of a local directory does it."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from socket import AF_UNIX, socket
from threading import Event as ThreadEvent
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fexp_store import BadInput, Conflict, Damaged
from fexp_store.warehouse.storage import LocalStorage, Storage, storage_of

# Everything that a name may hold on the disks and in the URLs that we know of, and some traps.
LETTERS = st.characters(codec="utf-8", exclude_characters="/\\\0", exclude_categories=["Cs", "Cc"])
PARTS = st.text(LETTERS, min_size=1, max_size=20).filter(lambda part: part not in (".", ".."))
TRAPS = st.sampled_from(["layer=conv1%3Apre", ".hidden", "a b", "100%", "#", "?", "~", "ä", "-"])
PATHS = st.lists(PARTS | TRAPS, min_size=1, max_size=4).map("/".join)
BLOCK = 1 << 21


def files(storage: Storage) -> list[str]:
    """All files, sorted, but for the locks of this machine."""
    return sorted(path for path in storage.files() if not path.startswith(".local/locks/"))


class StorageTests:
    """What every storage must do: a class of tests for one gives it as the fixture `storage`."""

    @given(path=PATHS, contents=st.lists(st.binary(max_size=300), min_size=2, max_size=3))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_what_is_written_is_read_back(
        self, storage: Storage, path: str, contents: list[bytes]
    ) -> None:
        path = f"{uuid.uuid4()}/{path}"
        assert not storage.exists(path)
        with storage.creating(path) as file:
            file.write(contents[0][:100])
            file.write(contents[0][100:])
        for number, content in enumerate(contents):
            if number:
                storage.write(path, content)
            assert storage.read(path) == content
            with storage.open(path) as file:
                file.seek(len(content) // 2)
                assert file.read() == content[len(content) // 2 :]
            assert storage.size(path) == len(content)
        folder, name = path.rsplit("/", 1)
        assert storage.names(folder) == [name]
        assert storage.files(path.split("/")[0]) == [path]

    def test_what_is_there_is_listed_and_what_is_deleted_is_gone(self, storage: Storage) -> None:
        begun = time.time()
        for path in ("a/b/2", "a/b/1", "a/c", "d"):
            storage.write(path, path.encode())
        assert [name for name in storage.names() if name != ".local"] == ["a", "d"]
        assert storage.names("a") == ["b", "c"]
        assert storage.names("a/b") == ["1", "2"]
        assert storage.names("nowhere") == storage.names("d") == []
        assert files(storage) == ["a/b/1", "a/b/2", "a/c", "d"]
        assert sorted(storage.files("a/b")) == ["a/b/1", "a/b/2"]
        assert storage.files("nowhere") == []
        assert [storage.exists(path) for path in ("a/b/1", "a/b", "a/b/3", "")] == [1, 1, 0, 1]
        assert [storage.is_folder(path) for path in ("a/b/1", "a/b", "a/b/3", "")] == [0, 1, 0, 1]
        changed = storage.signature("d").modified
        assert begun - 2 <= changed / 1e9 <= storage.now() / 1e9 <= time.time() + 2
        for path in ("a/b/1", "a/b/1", "d", "nowhere/at/all"):  # twice is no error
            storage.delete(path)
        assert files(storage) == ["a/b/2", "a/c"]
        assert storage.free() > 0

    def test_what_is_not_there_cannot_be_read(self, storage: Storage) -> None:
        for read in (storage.read, storage.open, storage.size, storage.signature):
            with pytest.raises(FileNotFoundError):
                read("a/b")

    def test_a_failed_replacement_leaves_the_old_content_and_no_file(
        self, storage: Storage
    ) -> None:
        def begin(path: str) -> None:
            with storage.replacing(path) as temporary:
                Path(temporary).write_bytes(b"half")
                Path(f"{temporary}.wal").write_bytes(b"what DuckDB writes beside its file")
                (begun,) = (x for x in storage.files() if x.endswith(Path(temporary).name))
                assert storage.temporary(begun)
                raise KeyboardInterrupt

        storage.write("a/b", b"old")
        for path in ("a/b", "a/new"):
            with pytest.raises(KeyboardInterrupt):
                begin(path)
        assert not storage.temporary("a/b")
        assert storage.read("a/b") == b"old"
        assert files(storage) == ["a/b"]

    def test_a_failed_creation_leaves_no_file(self, storage: Storage) -> None:
        def begin() -> None:
            with storage.creating("a/b") as file:
                file.write(b"half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            begin()
        assert files(storage) == []

    def test_what_is_there_is_not_created_again(self, storage: Storage) -> None:
        storage.write("a/b", b"old")
        with pytest.raises(FileExistsError), storage.creating("a/b") as file:
            file.write(b"new")
        assert storage.read("a/b") == b"old"

    @pytest.mark.parametrize("path", ["/etc/x", "..", "../x", "a/../../x", "s3://b/x", "a\\..\\x"])
    def test_paths_that_leave_the_root_are_refused(self, storage: Storage, path: str) -> None:
        def enter(manager: Callable[[str], Any]) -> Callable[[str], None]:
            def run(path: str) -> None:
                with manager(path):
                    pass

            return run

        asked: list[Callable[[str], object]] = [
            *(storage.uri, storage.exists, storage.is_folder, storage.read, storage.open),
            *(storage.names, storage.files, storage.size, storage.signature, storage.delete),
            *(enter(storage.replacing), enter(storage.creating)),
            lambda path: storage.write(path, b""),
            lambda path: storage.local(f"a/../../../{path}"),
        ]
        for ask in asked:
            with pytest.raises(Damaged, match="outside its own directory"):
                ask(path)
        assert files(storage) == []

    def test_it_pickles(self, storage: Storage) -> None:
        storage.write("a", b"content")
        again = pickle.loads(pickle.dumps(storage))
        assert again == storage
        assert again.read("a") == b"content"

    @pytest.mark.slow
    def test_readers_never_see_half_a_file(self, storage: Storage) -> None:
        storage.write("a", b"0" * BLOCK)
        seen = set()
        with child(_write_in_turn, storage):
            deadline = time.monotonic() + 60
            while len(seen) < 20 and time.monotonic() < deadline:
                content = storage.read("a")
                assert content.count(content[:1]) == BLOCK
                seen.add(content[:1])
        assert len(seen) == 20

    @pytest.mark.slow
    def test_a_lock_excludes_others_and_ends_with_its_holder(self, storage: Storage) -> None:
        taken: list[str] = []

        def take(name: str) -> None:
            with storage.lock(name):
                taken.append(name)

        with child(_hold, storage) as holder:
            take("another")
            waiting = Thread(target=take, args=("held",), daemon=True)
            waiting.start()
            waiting.join(1)
            assert taken == ["another"]
            assert holder.pid is not None
            os.kill(holder.pid, signal.SIGKILL)
            waiting.join(30)
        assert taken == ["another", "held"]

    def test_a_file_is_named_by_what_is_written(self, storage: Storage) -> None:
        for content in (b"", b"content"):
            with storage.hashed("a/b", "part-", ".x") as file:
                file.write(content[:3])
                assert [storage.temporary(path) for path in storage.files("a")] == [True]
                file.write(content[3:])
            (name,) = storage.names("a/b")
            assert name == f"part-{sha256(content).hexdigest()}.x"
            assert storage.read(f"a/b/{name}") == content
            storage.delete(f"a/b/{name}")

    def test_a_file_that_is_not_written_whole_is_not_left(self, storage: Storage) -> None:
        def begin() -> None:
            with storage.hashed("a", "", ".x") as file:
                file.write(b"half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            begin()
        assert files(storage) == []

    def test_who_wants_to_be_alone_waits_for_writers_or_goes(self, storage: Storage) -> None:
        told, taken = ThreadEvent(), ThreadEvent()

        def take() -> None:
            with storage.alone(60, told.set):
                taken.set()

        with storage.writing(), storage.writing():
            with pytest.raises(Conflict, match="Other processes are writing"):
                storage.alone(0, lambda: None).__enter__()
            waiting = Thread(target=take, daemon=True)
            waiting.start()
            assert told.wait(30)
            assert not taken.is_set()
        assert taken.wait(30)
        with storage.writing():
            pass

    @pytest.mark.slow
    def test_a_writer_that_is_killed_keeps_nobody_out(self, storage: Storage) -> None:
        with child(_write_for_ever, storage) as writer:
            with pytest.raises(Conflict):
                storage.alone(0.1, lambda: None).__enter__()
            assert writer.pid is not None
            os.kill(writer.pid, signal.SIGKILL)
            with storage.alone(30, lambda: None):
                pass

    @pytest.mark.slow
    def test_processes_that_update_a_record_at_once_lose_nothing(self, storage: Storage) -> None:
        assert storage.read_local("weights") == {}
        with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
            list(pool.map(_update, [storage] * 8, range(8)))
        expected = {f"{who} {n}": str(n) for who in range(8) for n in range(10)}
        assert storage.read_local("weights") == expected


def _write_in_turn(storage: Storage, ready: Event) -> None:
    ready.set()
    for n in range(1_000_000):
        storage.write("a", bytes([n % 20 + 48]) * BLOCK)


def _write_for_ever(storage: Storage, ready: Event) -> None:
    with storage.writing():
        ready.set()
        time.sleep(600)


def _hold(storage: Storage, ready: Event) -> None:
    with storage.lock("held"):
        ready.set()
        time.sleep(600)


def _update(storage: Storage, who: int) -> None:
    for n in range(10):
        storage.update_local("weights", f"{who} {n}", str(n))


@contextmanager
def child(work: Callable[[Storage, Event], None], storage: Storage) -> Iterator[SpawnProcess]:
    """Another process that works on the storage until the end; it has begun when this returns."""
    context = get_context("spawn")
    ready = context.Event()
    process = context.Process(target=work, args=(storage, ready))
    process.start()
    try:
        assert ready.wait(60)
        yield process
    finally:
        process.kill()
        process.join()


class TestLocalStorage(StorageTests):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        (tmp_path / "root").mkdir()
        return storage_of(tmp_path / "root")

    def test_a_folder_is_known_by_any_of_its_names(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(Path(storage.location).parent)
        assert storage_of("root") == storage_of("./root/../root") == storage
        assert storage == LocalStorage(str(Path("root").absolute()))

    def test_a_url_is_refused(self) -> None:
        with pytest.raises(BadInput, match="s3://bucket/x is a URL"):
            storage_of("s3://bucket/x")

    def test_files_are_where_they_are_said_to_be(self, storage: Storage) -> None:
        storage.write("a/b", b"content")
        assert Path(storage.uri("a/b")).read_bytes() == b"content"
        assert Path(storage.uri()) == Path(storage.location)
        assert storage.free() == pytest.approx(shutil.disk_usage("/tmp").free, rel=0.1)

    def test_links_to_elsewhere_are_not_listed(self, storage: Storage, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "x").touch()
        Path(storage.uri("link")).symlink_to(tmp_path / "elsewhere")
        assert files(storage) == []

    def test_what_belongs_to_this_machine_is_in_a_folder_of_its_own(self, storage: Storage) -> None:
        Path(storage.local("history")).write_text("SELECT 1")
        storage.update_local("roots", "set1", "/photographs")
        with storage.lock("anything"):
            pass
        assert {path.split("/")[0] for path in storage.files()} == {".local"}

    WRITERS = ("write", "replacing", "creating", "delete", "update_local", "lock")

    def ask(self, storage: Storage, name: str, path: str) -> object:
        """Do something to a path, whatever else it takes."""
        if name == "write":
            return storage.write(path, b"new")
        if name in ("replacing", "creating"):
            with getattr(storage, name)(path):
                return None
        if name == "update_local":
            return storage.update_local("record", "key", "value")
        if name == "lock":
            with storage.lock("anything"):
                return None
        return getattr(storage, name)(path)

    READERS = ("uri", "exists", "is_folder", "read", "open", "names", "files", "size", "signature")
    READERS = (*READERS, "sha256", "table", "log", "read_local")

    @pytest.mark.parametrize("name", [*READERS, *WRITERS])
    def test_no_link_below_the_root_is_followed(
        self, storage: Storage, tmp_path: Path, name: str
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        for folder in ("a/_delta_log", "locks"):
            (elsewhere / folder).mkdir(parents=True)
        for file in ("x", "a/x", "record.json"):
            (elsewhere / file).write_text("{}")
        before = {p: p.stat().st_mtime_ns for p in elsewhere.rglob("*")}
        links = {
            "link": elsewhere,
            "file": elsewhere / "x",
            ".local": elsewhere,
            "gone": "/nowhere",
        }
        for link, target in links.items():
            Path(storage.uri(), link).symlink_to(target)
        for path in ("link", "link/x", "link/a", "link/a/x", "link/new", "file", "gone", "gone/x"):
            with pytest.raises(Damaged, match="is a link"):
                self.ask(storage, name, path if name != "read_local" else "record")
        assert {p: p.stat().st_mtime_ns for p in elsewhere.rglob("*")} == before
        assert storage.files() == storage.folders("") == []
        assert storage.signatures(["link/x", "file", "gone"]) == {}

    def test_the_root_itself_may_be_a_link(self, storage: Storage, tmp_path: Path) -> None:
        storage.write("a/b", b"content")
        (tmp_path / "link").symlink_to(storage.location)
        for other in (storage_of(tmp_path / "link"), LocalStorage(str(tmp_path / "link"))):
            assert other.read("a/b") == b"content"

    @pytest.mark.parametrize("name", ["read", "open", "signature", "sha256", "log", "table"])
    @pytest.mark.parametrize("kind", ["pipe", "socket"])
    def test_what_is_no_file_is_neither_read_nor_waited_for(
        self, storage: Storage, kind: str, name: str
    ) -> None:
        storage.write("a/_delta_log/0.json", b"{}")
        path = "a/_delta_log/1.json"
        if kind == "pipe":
            os.mkfifo(storage.uri(path))
        else:
            with socket(AF_UNIX) as opened:
                opened.bind(os.path.relpath(storage.uri(path)))
        with pytest.raises(Damaged, match="no regular file"):
            self.ask(storage, name, "a" if name in ("log", "table") else path)
        assert files(storage) == ["a/_delta_log/0.json"]

    def test_many_signatures_are_those_of_each(self, storage: Storage) -> None:
        paths = ["a", "b/c", "b/d", "b/e/f"]
        for path in paths:
            storage.write(path, path.encode())
        asked = [*paths, "b", "b/..", "b/../../x", "/etc/passwd", "nowhere/x", "b/\0", "", "b/x/"]
        assert storage.signatures(asked) == {path: storage.signature(path) for path in paths}

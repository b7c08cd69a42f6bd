"""What users give and ask for: regular files, read up to a limit, written whole or not at all."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support.records import options

from fexp_store import BadInput
from fexp_store.given import check_depth, open_file, parse_json, read_bytes, read_csv, read_text
from fexp_store.options import make
from fexp_store.outputs import writing
from fexp_store.stimuli.recipe import Rendering


def bind(path: Path) -> None:
    os.chdir(path.parent)  # a socket's name is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda path: None, "does not exist"),
    "a file as a folder": (lambda path: path.parent.touch(), "does not exist"),
    "a directory": (Path.mkdir, "is a directory, where a regular file is needed"),
    "a pipe": (os.mkfifo, "is a pipe, where a regular file is needed"),
    "a socket": (bind, "is a socket, where a regular file is needed"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, where a regular file"),
    "a loop": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "a terabyte": (sparse, "more than the 1 MiB that are read of one"),
    "two MiB": (lambda path: path.write_bytes(b"a" * (2 << 20)), "more than the 1 MiB"),
    "zero bytes": (lambda path: path.write_bytes(b"a\0b"), "it has zero bytes"),
    "Latin-1": (lambda path: path.write_bytes("Müller".encode("latin-1")), "UTF-8 (byte 1)"),
    "UTF-16": (lambda path: path.write_text("a", "utf-16"), "is UTF-16; save it as UTF-8"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_text_is_refused_in_one_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_it, words = REFUSED[kind]
    path = tmp_path / ("a/b" if kind == "a file as a folder" else "x")
    make_it(path)
    with pytest.raises(BadInput) as refused:
        read_text(path, "The study file")
    said = str(refused.value)
    assert said.startswith(f"The study file {path} ")
    assert words in said
    assert said.endswith(".")
    assert "\n" not in said


def test_files_of_the_system_that_have_no_size_are_read_up_to_the_limit(tmp_path: Path) -> None:
    endless = Path("/proc/self/pagemap")
    if not endless.exists():
        pytest.skip("needs /proc")
    assert endless.stat().st_size == 0
    with pytest.raises(BadInput, match="more than the 1 MiB"):
        read_bytes(endless, "The image", 1 << 20)


def test_a_mark_before_a_text_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("a,b\n1,ü\n", "utf-8-sig")
    assert read_text(path, "The text") == "a,b\n1,ü\n"
    assert read_csv(path, "The table").to_dicts() == [{"a": 1, "b": "ü"}]
    with open_file(path, "The file") as file:
        assert file.read() == path.read_bytes()


@pytest.mark.parametrize(
    "content", ["", "a,b\n1,2,3\n", 'a\n"1\n'], ids=["empty", "ragged", "open"]
)
def test_what_is_no_table_is_refused_in_one_sentence(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(BadInput, match=r"^The table .* is no CSV file that can be read: [^\n]*\.$"):
        read_csv(path, "The table")


BAD_JSON = {
    "nothing": "",
    "half": '{"a":',
    "a name twice": '{"a": 1, "a": 2}',
    "not a number": "[NaN]",
    "infinite": "[-Infinity]",
    "thousands of digits": "[" + "9" * 5000 + "]",
    "fifty lists and more": "[" * 60 + "]" * 60,
    "a hundred thousand lists": "[" * 100_000,
    "a hundred thousand objects": '{"a":' * 100_000,
}


@pytest.mark.parametrize("text", BAD_JSON.values(), ids=BAD_JSON)
def test_json_that_is_not_read_says_why(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_json(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_other_json_is_read_as_python_reads_it() -> None:
    text = json.dumps({"a": [1, 2.5, None, True, "ü\0"], "b": {"c": {}}})
    assert parse_json(text) == json.loads(text)
    check_depth([[[]]])


def test_every_number_of_every_option_is_bounded_on_both_sides() -> None:
    numbers = [option for _, option in options() if option.kind in (int, float)]
    assert len(numbers) > 20
    for option in numbers:
        assert "from" in option.wanted or "above" in option.wanted
        assert " to " in option.wanted or "at most" in option.wanted or "below" in option.wanted


@pytest.mark.parametrize(
    "value", [10**40, -(10**40), 10**5000, "9" * 10_000], ids=["40", "-40", "5000", "text"]
)
def test_an_absurd_number_is_refused_in_a_short_sentence(value: object) -> None:
    with pytest.raises(BadInput, match=r"^seed must be a whole number from 0 to 4294967295, not"):
        make(Rendering, {"seed": value})


def test_a_file_gets_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    with writing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    for other, anew in ((path, False), (tmp_path / "y", True)):
        with suppress(RuntimeError), writing(other, anew=anew) as file:
            file.write(b"half")
            raise RuntimeError
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x.png": b"new"}


OUTPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a directory": (Path.mkdir, "is a directory"),
    "a pipe": (os.mkfifo, "is a pipe or a device"),
    "a device": (lambda path: path.symlink_to("/dev/null"), "is a pipe or a device"),
    "a file that is there": (Path.touch, "is there already"),
    "in a folder that is not there": (lambda path: None, "there is no folder"),
    "in a file": (lambda path: path.parent.touch(), "there is no folder"),
    "in a warehouse": (lambda path: path.with_name("warehouse.json").touch(), "in the warehouse"),
    "deep in a warehouse": (
        lambda path: path.parents[1].joinpath("warehouse.json").touch(),
        "in the warehouse",
    ),
    "a link into a warehouse": (
        lambda path: (
            path.with_name("wh").mkdir(),
            path.with_name("wh").joinpath("warehouse.json").touch(),
            path.symlink_to(path.with_name("wh") / "catalog.duckdb"),
        ),
        "in the warehouse",
    ),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_nothing_is_written_over_what_is_no_file(kind: str, tmp_path: Path) -> None:
    make_it, words = OUTPUTS[kind]
    folder = tmp_path / "folder"
    if "folder" not in kind and kind != "in a file":
        folder.mkdir()
    path = folder / "x"
    make_it(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=words), writing(path, anew=True):
        pass
    assert sorted(tmp_path.rglob("*")) == before

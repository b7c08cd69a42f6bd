"""Photographs under the names that their sets give them."""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from support.writing import Fexp, state

from fexp_store import Warehouse
from fexp_store.errors import BadInput
from fexp_store.expressions import BASIC, NEUTRAL, aliases, check_expression
from fexp_store.stimuli import images
from fexp_store.stimuli.photographs.filters import choose, incomplete
from fexp_store.stimuli.photographs.layouts import known_layout, layout_of_pattern
from fexp_store.stimuli.photographs.listing import list_directory
from fexp_store.stimuli.photographs.manifests import read_manifest
from fexp_store.stimuli.recipe import Listing
from fexp_store.stimuli.sets import read_set

SEVEN = (*BASIC, NEUTRAL)


def write(directory: Path, *names: str) -> Path:
    """Write one picture of its own under each name."""
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        pixels = rng.integers(0, 255, (32, 24, 3), dtype=np.uint8)
        kind = {".jpg": "jpeg", ".bmp": "bmp", ".tiff": "tiff", ".png": "png"}
        Image.fromarray(pixels).save(path, kind[path.suffix.lower()])
    return directory


# As the sets name their files, in their folders: (files, one wrong file, what the names say).
KDEF = [
    f"KDEF/{session}F01/{session}F01{label}{angle}.JPG"
    for session in "AB"
    for label in ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
    for angle in ("S", "HL", "HR", "FL", "FR")
]
RAFD = [
    f"Rafd{camera}_01_Caucasian_female_{label}_{gaze}.jpg"
    for camera in ("045", "090", "135")
    for label in ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad",
                  "surprised")
    for gaze in ("frontal", "left", "right")
]  # fmt: skip
NIMSTIM = [
    *(f"01F_{label}_{mouth}.BMP" for label in ("AN", "CA", "DI", "FE", "HA", "NE", "SA")
      for mouth in "CO"),
    "01F_HA_X.BMP",
    "01F_SP_O.BMP",
]  # fmt: skip
JAFFE = [
    f"{who}.{label}{take}.{number}.tiff"
    for who, start in (("KA", 26), ("TM", 180))
    for number, (label, take) in enumerate(
        ((label, take) for label in ("AN", "DI", "FE", "HA", "NE", "SA", "SU") for take in (1, 2)),
        start,
    )
]
CASES = {
    "kdef": (KDEF, "KDEF/AF01/AF31V.JPG", {"view": "frontal", "session": "A"}, "F01"),
    "rafd": (RAFD, "Rafd090_01_angry.jpg", {"view": "frontal", "gaze": "frontal"}, "01"),
    "nimstim": (NIMSTIM, "01F_XX_C.BMP", {}, "01F"),
    "jaffe": (JAFFE, "README_FIRST.jpg", {"take": "1"}, "KA"),
}


@pytest.mark.parametrize("layout", CASES)
def test_a_tree_named_as_the_set_names_it_gives_one_image_a_cell(
    tmp_path: Path, layout: str
) -> None:
    names, wrong, where, identity = CASES[layout]
    directory = write(tmp_path / "set", *names, wrong)
    listing = list_directory(directory, known_layout(layout))
    assert listing.others == [wrong]
    expressed = {"rafd": 9, "nimstim": 2}
    assert listing.left_out == expressed.get(layout, 0)  # contempt; calm
    assert len(listing.photographs) == len(names) - listing.left_out
    conditions = tuple(f"{key}={value}" for key, value in where.items())
    chosen = choose(listing.photographs, Listing(where=conditions, doubles="first"))
    cells = {(p.identity, p.expression) for p in chosen}
    assert len(chosen) == len(cells)
    assert {(identity, expression) for expression in SEVEN} <= cells
    assert incomplete(chosen).is_empty()
    assert all(p.attributes["view"] == "frontal" for p in chosen)


def test_what_the_names_say_is_kept(tmp_path: Path) -> None:
    write(tmp_path, "AF01ANS.JPG", "BM35SUHL.jpg")
    one, other = list_directory(tmp_path, known_layout("kdef")).photographs
    assert (one.identity, one.expression) == ("F01", "anger")
    said = {"session": "A", "sex": "female", "number": "01", "view": "frontal", "gaze": "frontal"}
    assert one.attributes == said
    assert (other.identity, other.expression) == ("M35", "surprise")
    assert other.attributes["view"] == "half left"


def rafdb(directory: Path) -> Path:
    write(
        directory / "Image/aligned", *(f"train_{i:05d}_aligned.jpg" for i in range(1, 8)),
        "test_0001_aligned.jpg", "montage.jpg",
    )  # fmt: skip
    labels = directory / "EmoLabel/list_patition_label.txt"
    labels.parent.mkdir(parents=True)
    lines = [f"train_{i:05d}_aligned.jpg {i}" for i in range(1, 8)]
    labels.write_text("\n".join([*lines, "test_0001_aligned.jpg 4", ""]))
    return directory


def test_rafdb_takes_its_labels_from_its_list(tmp_path: Path) -> None:
    listing = list_directory(rafdb(tmp_path), known_layout("rafdb"))
    assert listing.others == ["Image/aligned/montage.jpg"]
    labels = {p.identity: p.expression for p in listing.photographs}
    assert labels.pop("test_0001") == "happiness"
    ordered = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    assert labels == {f"train_{i:05d}": label for i, label in enumerate(ordered, start=1)}
    assert listing.photographs[-1].attributes == {"part": "train", "number": "00007",
                                                  "crop": "aligned"}  # fmt: skip
    assert incomplete(listing.photographs).is_empty()  # in the wild there is no design


@pytest.mark.parametrize("line", ["train_00001_aligned.jpg", "a b c", "train_00001_aligned.jpg 9",
                                  "train_00002_aligned.jpg 3"])  # fmt: skip
def test_a_list_of_labels_with_a_wrong_line_is_refused(tmp_path: Path, line: str) -> None:
    labels = rafdb(tmp_path) / "EmoLabel/list_patition_label.txt"
    labels.write_text(labels.read_text() + line)
    with pytest.raises(BadInput, match=r"Line 9|'9' is not an expression"):
        list_directory(tmp_path, known_layout("rafdb"))


def test_rafdb_without_its_list_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "train_00001_aligned.jpg")
    with pytest.raises(BadInput, match=r"needs one file list_patition_label\.txt"):
        list_directory(tmp_path, known_layout("rafdb"))


def test_every_alias_means_an_expression_and_stands_for_itself_in_any_case() -> None:
    assert set(aliases().values()) == {*SEVEN, ""}
    assert [check_expression(text) for text in ("happy", "HA", "Afraid", "NEUTRAL")] == [
        "happiness", "happiness", "fear", "neutral"]  # fmt: skip
    assert check_expression("4", "rafdb") == "happiness"
    with pytest.raises(BadInput, match="'4' is not an expression"):
        check_expression("4")


def test_patterns_match_names_or_paths(tmp_path: Path) -> None:
    write(tmp_path, "ann/happy_1.png", "ann/SAD_1.png", "bob/happy_1.png", "bob/what.png")
    listing = list_directory(tmp_path, layout_of_pattern("{identity}/{expression}_{take}.png"))
    found = [(p.identity, p.expression, p.attributes) for p in listing.photographs]
    first = {"take": "1"}
    assert found == [("ann", "sadness", first), ("ann", "happiness", first),
                     ("bob", "happiness", first)]  # fmt: skip
    assert listing.others == ["bob/what.png"]
    gaps = incomplete(listing.photographs)
    assert gaps.to_dicts() == [{"identity": "bob", "happiness": 1, "sadness": 0}]


@pytest.mark.parametrize(
    "pattern",
    [
        "{expression}.jpg",
        "{identity}.jpg",
        "{identity}_{identity}_{expression}",
        "{identity}{}{expression}",
    ],
)
def test_patterns_that_cannot_be_used_are_refused(pattern: str) -> None:
    with pytest.raises(BadInput, match=re.escape(pattern)):
        layout_of_pattern(pattern)


def test_a_parquet_manifest_is_the_same_as_csv(photographs: Path, tmp_path: Path) -> None:
    rows = pl.read_csv(photographs).with_columns(pl.lit(7).alias("age"))
    rows.write_parquet(tmp_path / "manifest.any")
    rows.write_csv(tmp_path / "manifest.csv")
    assert read_manifest(tmp_path / "manifest.any") == read_manifest(tmp_path / "manifest.csv")


def test_the_command_registers_counts_what_it_ignores_and_says_what_is_missing(
    fexp: Fexp, empty: Warehouse, tmp_path: Path
) -> None:
    names = ["a_happy.jpg", "a_sad.jpg", "b_happy.jpg", "a_envy.jpg", "notes.jpg"]
    write(tmp_path / "faces", *names)
    add = ("-w", empty.location, "stimuli", "add", "mine", "faces", "-f", "json")
    pattern = ("--pattern", "{identity}_{expression}.jpg")
    strict = fexp(*add, *pattern, "--strict")
    assert strict.returncode == 1
    assert "2 files: a_envy.jpg, notes.jpg in faces not named like" in strict.stderr
    done = fexp(*add, *pattern, "--copy")
    assert done.returncode == 0, done.stderr
    assert "Warning: ignored 2 files: a_envy.jpg, notes.jpg" in done.stderr
    assert json.loads(done.stdout) == [{"identity": "b", "happiness": 1, "sadness": 0}]
    rows = read_set(empty, "mine")
    assert rows["file"].to_list() == ["a_happy.jpg", "a_sad.jpg", "b_happy.jpg"]
    for path in (tmp_path / "faces").iterdir():
        path.unlink()
    for row in rows.iter_rows(named=True):  # --copy: readable without the directory
        images.read_registered(empty.storage, row, {})


def png_that_claims(side: int) -> bytes:
    """A PNG whose header says side x side pixels, with hardly any data behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def cmyk() -> bytes:
    buffer = io.BytesIO()
    Image.new("CMYK", (32, 32)).save(buffer, "jpeg")
    return buffer.getvalue()


PATTERN = ("--pattern", "{identity}_{expression}.png")
BAD = {
    "an empty directory": ({}, PATTERN, "The directory bad has no files."),
    "a directory that is not there": (None, PATTERN, "There is no directory bad."),
    "a directory and no layout": ({"a_fear.png": None}, (), "with --layout or --pattern"),
    "an unknown layout": ({}, ("--layout", "ck"), "There is no layout 'ck'; known: kdef, rafd"),
    "a pattern without expression": ({}, ("--pattern", "{identity}.png"), "has no {expression}"),
    "no file that fits": ({"x.png": None}, PATTERN, "No file in bad fits {identity}_{expression}"),
    "two images in one cell": (
        {"a_fear.png": None, "a_afraid.png": None, "b_fear.png": None},
        PATTERN,
        "1 cell has more than one image: fear of a (a_afraid.png, a_fear.png)",
    ),
    "a 0-byte file": ({"a_fear.png": b"", "b_fear.png": None}, PATTERN, "a_fear.png is empty."),
    "a decompression bomb": (
        {"a_fear.png": png_that_claims(50_000)},
        PATTERN,
        "a_fear.png claims more pixels than are decoded safely.",
    ),
    "four inks": ({"a_fear.png": cmyk()}, PATTERN, "convert it to 8-bit RGB or greyscale"),
    "a name that is not UTF-8": (
        {b"a\xff_fear.png": None},
        PATTERN,
        r"The name of the file a\xff_fear.png in bad is not UTF-8; rename it.",
    ),
    "a filter that no image has": (
        {"a_fear.png": None},
        (*PATTERN, "--view", "frontal"),
        "The images have no attribute 'view' to filter by",
    ),
    "expressions that no image has": (
        {"a_fear.png": None},
        (*PATTERN, "--expressions", "sad"),
        "None of the 1 images passes the filters.",
    ),
}


@pytest.mark.parametrize(("files", "options", "words"), BAD.values(), ids=BAD)
def test_bad_directories_are_one_sentence_and_register_nothing(
    fexp: Fexp,
    empty: Warehouse,
    tmp_path: Path,
    files: dict[str | bytes, bytes | None] | None,
    options: tuple[str, ...],
    words: str,
) -> None:
    picture = (write(tmp_path, "good.png") / "good.png").read_bytes()
    if files is not None:
        (tmp_path / "bad").mkdir()
    for name, content in (files or {}).items():
        path = bytes(tmp_path / "bad") + b"/" + (name if isinstance(name, bytes) else name.encode())
        with open(path, "wb") as file:  # noqa: PTH123 (a name that is no text)
            file.write(picture if content is None else content)
    before = state(empty)
    done = fexp("-w", empty.location, "stimuli", "add", "set", "bad", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert state(empty) == before


def test_two_images_in_one_cell_are_settled_as_asked(
    fexp: Fexp, empty: Warehouse, tmp_path: Path
) -> None:
    write(tmp_path / "two", "AF01ANS.JPG", "BF01ANS.JPG")
    add = ("-w", empty.location, "stimuli", "add")
    options = ("two", "--layout", "kdef")
    refused = fexp(*add, "s", *options)
    assert "choose by an attribute (--where session=A)" in refused.stderr
    for name, how, kept in (
        ("by", ("--where", "session=B"), ["BF01ANS.JPG"]),
        ("first", ("--doubles", "first"), ["AF01ANS.JPG"]),
        ("keep", ("--doubles", "keep"), ["AF01ANS.JPG", "BF01ANS.JPG"]),
    ):
        done = fexp(*add, name, *options, *how)
        assert done.returncode == 0, done.stderr
        assert read_set(empty, name)["file"].to_list() == kept
    assert "Warning: 1 cell has more than one image" in done.stderr
    (tmp_path / "m.csv").write_text(
        "path,identity,expression\nAF01ANS.JPG,a,fear\nBF01ANS.JPG,a,fear\n"
    )
    (tmp_path / "m.csv").rename(tmp_path / "two" / "m.csv")
    strict = fexp(*add, "strict", "two/m.csv", "--strict")
    assert strict.returncode == 1
    assert "fear of a" in strict.stderr

"""Pictures that are bombs, lies or of other kinds."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from support.victim import Victim


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    sum_of = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum_of)


def png(width: int, height: int, *chunks: bytes, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def encoded(form: str, side: int = 64, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, form)
    return buffer.getvalue()


def animation() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("P", (64, 64), i) for i in range(200)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


ZEROS = zlib.compress(bytes(200_000_000))  # 200 MB in 200 kB

PICTURES: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: png(60_000, 60_000, chunk(b"IDAT", ZEROS)),
    "as wide as can be": lambda: png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", b"")),
    "one row": lambda: png(99_999_999, 1, chunk(b"IDAT", ZEROS)),
    "no size": lambda: png(0, 0, chunk(b"IDAT", ZEROS)),
    "a text that is a bomb": lambda: png(64, 64, chunk(b"zTXt", b"a\0\0" + ZEROS)),
    "a profile that is a bomb": lambda: png(64, 64, chunk(b"iCCP", b"a\0\0" + ZEROS)),
    "no picture": lambda: png(64, 64),
    "half a picture": lambda: png(64, 64, chunk(b"IDAT", zlib.compress(bytes(100)))),
    "a length that lies": lambda: b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31) + b"IHDR",
    "PostScript": lambda: (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n"
        b"(/outside/secret.txt) (r) file\nshowpage\n"
    ),
    "a vector graphic": lambda: (
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    ),
    "a script": lambda: b"#!/bin/sh\ntouch pwned\n",
    "a JPEG cut short": lambda: encoded("JPEG", 512)[:700],
    "a BMP that lies": lambda: encoded("BMP")[:18] + struct.pack("<ii", 2**30, 2**30),
    "a TIFF of many pages": lambda: b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) * 4,
    "a TIFF in a circle": lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "an icon": lambda: b"\0\0\x01\0\xff\xff" + bytes(64),
    "a PPM that lies": lambda: b"P6 99999 99999 255\n",
    "an XPM": lambda: b'/* XPM */\nstatic char *x[] = {"99999 99999 1 1", "a c #000"};',
    "CMYK": lambda: encoded("JPEG", 64, "CMYK"),
    "a tiny one": lambda: encoded("PNG", 4),
    "a web page": lambda: b"<html>",
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_is_none_is_refused(victim: Victim, kind: str) -> None:
    work = victim.outside.parent / "work"
    (work / "x.png").write_bytes(PICTURES[kind]())
    (work / "manifest.csv").write_text("path,identity,expression\nx.png,a,fear\n")
    done = victim("stimuli", "add", "new", "manifest.csv", "--copy")
    assert done.code == 1
    assert "x.png" in done.sentence
    assert not list((victim.path / "images").rglob("*")) if (victim.path / "images").exists() else 1


def test_of_an_animation_one_frame_is_read(victim: Victim) -> None:
    work = victim.outside.parent / "work"
    (work / "x.png").write_bytes(animation())
    (work / "manifest.csv").write_text("path,identity,expression\nx.png,a,fear\n")
    assert victim("stimuli", "add", "new", "manifest.csv").code == 0


def test_a_picture_that_lies_elsewhere_is_refused(victim: Victim) -> None:
    work = victim.outside.parent / "work"
    for name in ("../outside/secret.txt", "/etc/passwd", str(victim.outside / "secret.txt")):
        (work / "manifest.csv").write_text(f"path,identity,expression\n{name},a,fear\n")
        done = victim("stimuli", "add", "new", "manifest.csv", "--copy")
        assert "leaves the manifest's own directory" in done.sentence


def kept_elsewhere(victim: Victim, picture: Path) -> list[Path]:
    victim("stimuli", "add", "set2", picture, "--copy")
    return [path for path in (victim.path / "images").rglob("*") if path.is_file()]


def test_a_kept_picture_that_was_swapped_is_refused(victim: Victim, picture: Path) -> None:
    (kept,) = kept_elsewhere(victim, picture)
    kept.write_bytes(png(60_000, 60_000, chunk(b"IDAT", ZEROS)))
    assert victim("stimuli", "prepare", "set2", "new").code == 1
    assert victim("stimuli", "show", "set2", "--sheet", "x.png").code == 1

"""Small files of a warehouse with absurd content: the marker, and the records of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.victim import Victim

ABSURD = {
    "nothing": b"",
    "zero bytes": bytes(1000),
    "no text": b"\xff\xfe\x00\xd8",
    "half": b'{"format_version": ',
    "a list": b"[]",
    "a number": b"2",
    "null": b"null",
    "text": b'"format_version"',
    "very deep lists": b"[" * 100_000,
    "very deep objects": b'{"format_version":' * 100_000,
    "a version of 400 digits": b'{"format_version": 1' + b"0" * 400 + b"}",
    "a version of 10,000 digits": b'{"format_version": 1' + b"0" * 10_000 + b"}",
    "a version below one": b'{"format_version": -3}',
    "an infinite version": b'{"format_version": Infinity}',
    "1e400": b'{"format_version": 1e400}',
    "not a number": b'{"format_version": NaN}',
    "a version in a list": b'{"format_version": [2]}',
    "a version that is true": b'{"format_version": true}',
    "a version in words": b'{"format_version": "two"}',
    "a version that commands a terminal": b'{"format_version": "\\u001b]0;x\\u0007\\n\\u202e"}',
    "two versions": b'{"format_version": 1, "format_version": 2}',
    "surrogates": b'{"format_version": "\\ud800"}',
}


@pytest.mark.parametrize("content", ABSURD.values(), ids=ABSURD)
def test_a_marker_of_absurd_content_is_refused(victim: Victim, content: bytes) -> None:
    (victim.path / "warehouse.json").write_bytes(content)
    done = victim("networks", "list")
    assert done.code == 1
    assert "warehouse.json" in done.sentence or "format" in done.sentence


def test_a_marker_of_a_terabyte_is_refused(victim: Victim) -> None:
    with (victim.path / "warehouse.json").open("wb") as file:
        file.truncate(1 << 40)
    assert victim("networks", "list").code == 1


@pytest.mark.parametrize("name", ["image_roots", "weights"])
@pytest.mark.parametrize("kind", ["half", "a list", "null", "very deep lists", "no text"])
def test_a_record_of_this_machine_of_absurd_content_is_refused_or_unused(
    victim: Victim, picture: Path, name: str, kind: str
) -> None:
    (victim.path / ".local").mkdir(exist_ok=True)
    (victim.path / ".local" / f"{name}.json").write_bytes(ABSURD[kind])
    victim("stimuli", "show", "set1", "--sheet", "sheet.png")
    victim("stimuli", "add", "set2", picture)


def test_roots_of_images_lead_to_no_secret(victim: Victim) -> None:
    """Who writes these records chooses what is opened, but nothing of it is shown."""
    record = {"set1": str(victim.outside)}
    (victim.path / ".local").mkdir(exist_ok=True)
    (victim.path / ".local" / "image_roots.json").write_text(json.dumps(record))
    assert victim("stimuli", "show", "set1", "--sheet", "sheet.png").code == 1

"""Answers of every type, in every format; and nothing of them that commands a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from support.writing import Fexp

from fexp_store import BadInput, Warehouse
from fexp_store.cli.output import Format, print_stream
from fexp_store.cli.terminal import Terminal, visible

# Each with what DuckDB itself calls the value in words, but where JSON has words of its own.
VALUES: dict[str, str | tuple[str, Any]] = {
    "interval": "INTERVAL '1 month 2 days 3 us'",
    "time": "TIME '10:11:12.5'",
    "time of nanoseconds": "'10:11:12.123456789'::TIME_NS",
    "midnight at the end": "TIME '24:00:00'",
    "time with zone": "TIMETZ '10:11:12+02'",
    "bits": "'0101'::BIT",
    "blob": ("'\\xAA\\x00hi'::BLOB", "aa006869"),
    "uuid": "'b44f571a-f8db-4461-a3b7-ff418e0b31b2'::UUID",
    "greatest hugeint": ("170141183460469231731687303715884105727", 2**127 - 1),
    "greatest uhugeint": "340282366920938463463374607431768211455::UHUGEINT",
    "bignum": f"'{10**60 + 7}'::BIGNUM",
    "date": "DATE '2020-02-29'",
    "no end": "DATE 'infinity'",
    "no beginning": "DATE '-infinity'",
    "a far date": "DATE '99999-01-01'",
    "timestamp": ("TIMESTAMP '2020-01-01 01:02:03.5'", "2020-01-01T01:02:03.5"),
    "timestamp of seconds": ("TIMESTAMP_S '2020-01-01 01:02:03'", "2020-01-01T01:02:03"),
    "timestamp of nanoseconds": (
        "TIMESTAMP_NS '2020-01-01 01:02:03.123456789'",
        "2020-01-01T01:02:03.123456789",
    ),
    "timestamp with zone": (
        "TIMESTAMPTZ '2020-01-01 00:00:00+02'",
        "2019-12-31T22:00:00+00:00",
    ),
    "timestamp without end": "TIMESTAMP 'infinity'",
    "timestamp with zone, no beginning": "TIMESTAMPTZ '-infinity'",
    "decimal": ("1.50::DECIMAL(5, 2)", 1.5),
    "enumeration": "'a'::ENUM('a', 'b')",
    "union": "union_value(number := 2)",
    "tuple": "row(1, 'x')",
    "variant": "3::VARIANT",
    "null": ("NULL", None),
    "not a number": "'nan'::FLOAT",
    "infinite": ("'-inf'::DOUBLE", "-inf"),
    "boolean": ("true", True),
    "list": ("[1, NULL]", [1, None]),
    "empty list": ("[]", []),
    "array": ("[1, 2]::INTEGER[2]", [1, 2]),
    "structure": ("{'a': 1, 'b c': NULL}", {"a": 1, "b c": None}),
    "map": ("MAP {'k': NULL, 'j': 2}", {"k": None, "j": 2}),
    "map of numbers": ("MAP {1: 'a'}", {"1": "a"}),
    "map of lists": ("MAP {[1]: 'a'}", [[[1], "a"]]),
    "nested": ("[{'x': [NULL, 1.5]}, NULL]", [{"x": [None, 1.5]}, None]),
    "lists of awkward values": (
        "[{'i': INTERVAL 1 DAY, 'd': DATE 'infinity'}]",
        [{"i": "1 day", "d": "infinity"}],
    ),
}


def value_and_words(case: str) -> tuple[str, Any]:
    found = VALUES[case]
    if isinstance(found, tuple):
        return found
    ((words,),) = duckdb.sql(f"SELECT CAST({found} AS VARCHAR)").fetchall()
    return found, words


def printed(wh: Warehouse, query: str, form: Format, capture: Any) -> bytes:
    print_stream(wh.stream(query), form)
    sys.stdout.flush()
    return capture.readouterr().out


@pytest.mark.parametrize("case", VALUES)
def test_every_type_prints_in_every_format(
    case: str, ingested: Warehouse, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    value, words = value_and_words(case)
    query = f"SELECT {value} AS v UNION ALL SELECT NULL"
    answer = json.loads(printed(ingested, query, Format.json, capfdbinary))
    assert [row["v"] for row in answer] == [words, None]
    lines = printed(ingested, query, Format.csv, capfdbinary)
    in_csv = pl.read_csv(io.BytesIO(lines), infer_schema=False)
    assert in_csv.height == 2
    table = printed(ingested, query, Format.table, capfdbinary).decode()
    if isinstance(words, str) and "T" not in words:
        assert in_csv["v"][0].lower() == words
        assert f" {words} " in table
    kept = pq.ParquetFile(io.BytesIO(printed(ingested, query, Format.parquet, capfdbinary)))
    assert kept.metadata.num_rows == 2


def test_two_columns_of_one_name_print_or_are_refused_with_what_to_do(
    ingested: Warehouse, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    query = "SELECT 1 AS a, INTERVAL 1 DAY AS a"
    assert printed(ingested, query, Format.csv, capfdbinary) == b"a,a\n1,1 day\n"
    assert b"1   1 day" in printed(ingested, query, Format.table, capfdbinary)
    for form in (Format.json, Format.parquet):
        with pytest.raises(BadInput, match=r"^2 columns are called 'a'.* with AS\.$"):
            printed(ingested, query, form, capfdbinary)
    with pytest.raises(BadInput, match=r"one name.* with AS\.$"):
        ingested.query(query)


def test_what_parquet_lacks_is_refused_with_what_to_do(ingested: Warehouse) -> None:
    with pytest.raises(BadInput, match="CAST it to VARCHAR"):
        print_stream(ingested.stream("SELECT struct_pack() AS s"), Format.parquet)


HOSTILE = {
    "colours": "\x1b[31mred\x1b[0m",
    "a title": "\x1b]0;owned\x07",
    "eight-bit control": "\x9b31m",
    "a second line": "one\nError: two",
    "back to the start": "bad\rgood",
    "backspaces": "bad\b\b\bgood",
    "nothing": "a\0b",
    "from right to left": "\u202egnp.exe",
    "isolated": "\u2066x\u2069",
    "another line break": "a\u2028b\x85c",
    "half a character": "\udcff",
    "rubbed out": "a\x7f",
}


def commands(text: str) -> list[str]:
    """What of a text is not for the eye, but for the line break at the end."""
    bidi = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return [
        c
        for c in text.rstrip("\n")
        if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(c) in bidi
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_controls_are_shown_as_their_numbers(text: str) -> None:
    shown = visible(text)
    assert commands(text)
    assert not commands(shown)
    assert re.sub(r"\\x..|\\u....|\\[nrt]", "", shown).isprintable()


def test_plain_text_of_any_script_stays() -> None:
    text = "Ängstlich, café, 恐れ, خوف, [red]x[/red] :smile: 👩‍🔬"
    assert visible(text) == text
    buffer = io.StringIO()
    Terminal(file=buffer, width=200).print(text)
    assert buffer.getvalue() == f"{text}\n"


@pytest.mark.parametrize("name", ["[/]", "[red]", "[link=x]y[&link]"])
def test_markup_in_a_name_is_text(name: str, fexp: Fexp) -> None:
    done = fexp("study", "check", f"{name}.toml")
    assert done.returncode == 1
    assert done.stderr == f"Error: The study file {name}.toml does not exist.\n"


def on_a_terminal(*arguments: str) -> tuple[int, bytes]:
    """Run a command on a terminal of its own and return what that received."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "fexp_store.cli", *arguments]
    environment = os.environ | {"TERM": "dumb"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as child:
        os.close(theirs)
        received = b""
        try:
            while block := os.read(ours, 1 << 16):
                received += block
        except OSError:  # Linux: the other end is closed
            pass
    os.close(ours)
    return child.returncode, received.replace(b"\r\n", b"\n")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_hostile_values_and_names_are_harmless_on_a_terminal(
    form: str, ingested: Warehouse
) -> None:
    texts = [text for text in HOSTILE.values() if text != "\udcff"]
    literals = ", ".join("'" + t.replace("\0", "' || chr(0) || '") + "'" for t in texts)
    query = f'SELECT unnest([{literals}]) AS "\x1b[31mname\u202e", [{literals}] AS l'
    code, received = on_a_terminal("-w", ingested.location, "sql", query, "-f", form)
    assert code == 0
    assert [c for line in received.decode().split("\n") for c in commands(line)] == []


@pytest.mark.slow
def test_an_error_of_hostile_words_is_one_line_on_a_terminal(ingested: Warehouse) -> None:
    query = 'SELECT * FROM "\x1b]0;owned\x07\nError: \u202eno"'
    code, received = on_a_terminal("-w", ingested.location, "sql", query)
    assert code == 1
    assert received.count(b"\n") == 1
    assert commands(received.decode()) == []


@pytest.mark.slow
def test_parquet_is_not_written_to_a_terminal(ingested: Warehouse) -> None:
    code, received = on_a_terminal("-w", ingested.location, "sql", "SELECT 1", "-f", "parquet")
    assert code == 1
    assert b"send it to a file" in received


def test_a_plan_keeps_its_lines(
    ingested: Warehouse, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert printed(ingested, "EXPLAIN FROM networks", Format.table, capfdbinary).count(b"\n") > 5

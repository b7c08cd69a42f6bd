"""Results that users save: exact in every type, written as they come, refused where they differ."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.writing import state

from fexp_store import BadInput, Warehouse
from fexp_store.warehouse import saved

# What is selected, and what is stored of it where that is something else.
EXACT = {
    "[255::UTINYINT] AS x": "[255]",
    "{'a': [18446744073709551615::UBIGINT]} AS x": "{'a': [18446744073709551615]}",
    "MAP {4294967295::UINTEGER: TIME '01:02:03.000004'} AS x": "{4294967295='01:02:03.000004'}",
    "TIMESTAMP_NS '2020-01-01 00:00:00.123456789' AS x": "2020-01-01 00:00:00.123456",
    "TIMESTAMP_S '2020-01-01 00:00:01' AS x": "2020-01-01 00:00:01",
    "TIMESTAMPTZ '2020-01-01 00:00:01+02' AS x": "2019-12-31 22:00:01+00",
    "170141183460469231731687303715884105727::HUGEINT // 10 AS x": (
        "17014118346046923173168730371588410572"
    ),
    "'a'::ENUM('a', 'b') AS x": "a",
    "NULL AS x": "None",
    "'\\xFF'::BLOB AS x": "\\xFF",
    "[1, 2]::INTEGER[2] AS x": "[1, 2]",
    "'NaN'::DOUBLE AS x": "nan",
    "(-128)::TINYINT AS x": "-128",
}


@pytest.mark.parametrize("select", EXACT, ids=lambda select: select.removesuffix(" AS x"))
def test_a_value_stays_what_it_is(empty: Warehouse, select: str) -> None:
    for _ in range(2):  # the second is of the same columns
        saved.save(empty, "mine", f"SELECT {select}", {})
    (row,) = empty.frame("SELECT x::VARCHAR FROM saved.mine").rows()
    assert str(row[0]) == EXACT[select]


@pytest.mark.parametrize("select", ["1 AS run_id", "1 AS Run_ID", "1 AS a, 2 AS A"])
def test_names_that_a_table_cannot_have_are_refused(empty: Warehouse, select: str) -> None:
    before = state(empty)
    with pytest.raises(BadInput, match="Rename it with AS"):
        saved.save(empty, "mine", f"SELECT {select}", {})
    assert state(empty) == before
    assert not Path(empty.location, "results/saved").exists()


@pytest.mark.parametrize("select", ["'a' AS x", "1 AS y", "1 AS x, 2 AS y"])
def test_other_columns_under_a_name_are_refused(empty: Warehouse, select: str) -> None:
    saved.save(empty, "mine", "SELECT 1 AS x", {})
    files = sorted(Path(empty.location, "results/saved").rglob("*"))
    with pytest.raises(BadInput, match=r"saved\.mine has other columns"):
        saved.save(empty, "mine", f"SELECT {select}", {})
    assert sorted(Path(empty.location, "results/saved").rglob("*")) == files


def test_a_query_that_fails_in_the_middle_leaves_nothing(empty: Warehouse) -> None:
    query = "SELECT if(range = 900000, error('here'), range) AS x FROM range(1000000)"
    with pytest.raises(BadInput, match="here"):
        saved.save(empty, "mine", query, {})
    assert [p for p in Path(empty.location, "results").rglob("saved/**/*") if p.is_file()] == []
    assert empty.frame("FROM runs").is_empty()


PEAK = """
import resource, sys
from fexp_store import Warehouse
from fexp_store.warehouse import saved
wh = Warehouse(sys.argv[1], memory_limit="200MiB", threads=2)
saved.save(wh, "small", "SELECT 1 AS x", {})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
columns = ", ".join(f"hash({n}, range) AS h{n}" for n in range(8))
saved.save(wh, "large", f"SELECT range AS x, {columns} FROM range(4000000)", {})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_result_larger_than_memory_is_written_as_it_comes(empty: Warehouse) -> None:
    command = [sys.executable, "-c", PEAK, empty.location]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    raw = 4_000_000 * (8 + 8 * 16)  # a hash is kept as a decimal of 16 bytes
    assert int(done.stdout) * 1024 < 0.5 * raw
    (row,) = empty.frame("SELECT count(*), count(DISTINCT x) FROM saved.large").rows()
    assert row == (4_000_000, 4_000_000)

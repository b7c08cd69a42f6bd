"""``fexp sql`` and ``fexp query``: refusals, streams, the shell, and results that are kept."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from support.writing import Fexp, state

from fexp_store import BadInput, Warehouse

REFUSED = {
    "insert": "INSERT INTO stored.runs FROM stored.runs",
    "insert within a question": "WITH x AS (INSERT INTO stored.runs FROM runs RETURNING *) FROM x",
    "copy": "COPY (SELECT 1) TO '/tmp/x.csv'",
    "copy into the warehouse": "COPY (SELECT 1) TO '{root}/activations/x.csv'",
    "explain a copy": "EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/activations/x.csv'",
    "explain a copy behind a comment": (
        "/**/ EXPLAIN /**/ ANALYZE /**/ COPY (SELECT 1) TO '{root}/activations/x.csv'"
    ),
    "attach": "ATTACH '/tmp/x.duckdb'",
    "set": "SET memory_limit = '1TB'",
    "reset": "RESET ALL",
    "pragma": "PRAGMA enable_profiling = 'json'",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "export": "EXPORT DATABASE '/tmp/x'",
    "query": "FROM query('COPY (SELECT 1) TO ''/tmp/x.csv''')",
    "a link": "FROM read_text('{root}/activations/../../../../../../../etc/passwd')",
    "the marker of the warehouse": "FROM read_text('{root}/warehouse.json')",
    "the network": "FROM read_csv('http://127.0.0.1:1/x.csv')",
} | {
    function: f"FROM {function}('/etc/passwd')"
    for function in [
        "read_text",
        "read_blob",
        "read_csv",
        "read_csv_auto",
        "sniff_csv",
        "read_json",
        "read_json_auto",
        "read_ndjson",
        "read_ndjson_objects",
        "read_json_objects",
        "read_parquet",
        "parquet_scan",
        "glob",
        "parquet_metadata",
        "parquet_schema",
        "parquet_file_metadata",
        "parquet_kv_metadata",
        "parquet_bloom_probe",
        "read_duckdb",
    ]
}


@pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED)
def test_each_refusal_is_one_sentence_and_changes_nothing(ingested: Warehouse, query: str) -> None:
    before = state(ingested)
    with pytest.raises(BadInput) as refused:
        ingested.query(query.format(root=ingested.location))
    assert "\n" not in str(refused.value)
    assert state(ingested) == before
    assert not Path("/tmp/x.csv").exists()


def test_a_refusal_on_the_command_line_is_one_line(fexp: Fexp, ingested: Warehouse) -> None:
    done = fexp("-w", ingested.location, "sql", "SELECT a,\nb\nFROM nothing")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("explain", ["EXPLAIN", "explain analyze", "EXPLAIN (FORMAT json)"])
def test_explaining_a_question_is_allowed(ingested: Warehouse, explain: str) -> None:
    assert ingested.query(f"{explain} FROM networks").height


def test_formats_stream_what_the_query_returns(fexp: Fexp, ingested: Warehouse) -> None:
    query = "SELECT range AS n, [range] AS list, 0.5::DECIMAL(3, 1) AS d FROM range(70000)"
    texts = {
        f: fexp("-w", ingested.location, "sql", query, "-f", f).stdout for f in ("csv", "json")
    }
    assert pl.read_csv(io.StringIO(texts["csv"]))["n"].sum() == sum(range(70_000))
    rows = json.loads(texts["json"])
    assert rows[69_999] == {"n": 69_999, "list": [69_999], "d": 0.5}
    table = fexp("-w", ingested.location, "sql", query)
    assert "50 of 70000 rows" in table.stderr
    for empty, nothing in (("csv", "n\n"), ("json", "[]\n")):
        done = fexp("-w", ingested.location, "sql", "SELECT 1 AS n WHERE false", "-f", empty)
        assert done.stdout == nothing


@pytest.mark.slow
def test_a_result_larger_than_its_batches_stays_small_in_memory(ingested: Warehouse) -> None:
    code = (
        "import sys, resource; from fexp_store.cli import app; app(standalone_mode=False);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    peaks = []
    for n in (1_000, 10_000_000):
        command = [
            sys.executable,
            "-c",
            code,
            "-w",
            ingested.location,
            "sql",
            "-f",
            "parquet",
        ]
        query = f"SELECT range AS a, range * 7 AS b, hash(range) AS c FROM range({n})"
        done = subprocess.run([*command, query], capture_output=True, check=True)
        assert pl.read_parquet(io.BytesIO(done.stdout)).height == n
        peaks.append(int(done.stderr.split()[-1]))
    assert peaks[1] - peaks[0] < 200_000  # kB, of a result of 240,000


def test_a_hypothesis_is_kept_with_its_run(fexp: Fexp, own_copy: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "mine.sql"
    file.write_text(
        "SELECT unit_id, max(activation) AS top, count_if(activation > 0) AS n, NULL AS nothing "
        "FROM activations WHERE layer = $layer AND unit_id IN $units GROUP BY unit_id"
    )
    command = (
        "-w",
        own_copy.location,
        "query",
        file,
        "-p",
        "layer=conv4_3",
        "--save",
        "mine",
    )
    for units in ("[7, 9]", "[7, 8, 11]"):
        done = fexp(*command, "-p", f"units={units}", "-f", "json")
        assert done.returncode == 0, done.stderr
    printed = {row["unit_id"]: row["top"] for row in json.loads(done.stdout)}
    values = own_copy.matrix("dlib", "conv4_3", "set1", units=[7, 8, 11]).values
    assert printed == dict(zip([7, 8, 11], values.max(axis=0).tolist(), strict=True))
    shown = own_copy.query("FROM saved.mine JOIN runs USING (run_id) ORDER BY unit_id")
    assert shown["unit_id"].to_list() == [7, 8, 11]
    recorded = json.loads(shown["parameters"][0])
    assert recorded["parameters"] == {"layer": "conv4_3", "units": [7, 8, 11]}
    assert recorded["query"] == file.read_text()
    rows = pl.scan_delta(str(Path(own_copy.location) / "results" / "saved" / "mine")).collect()
    assert rows.height == 5  # nothing is overwritten
    file.write_text("SELECT 1 AS other")
    for change, words in (
        ((), "has other columns"),
        (("--save", "a/b"), "cannot name a saved result"),
        (("-p", "novalue"), "is not name=value"),
    ):
        done = fexp("-w", own_copy.location, "query", file, "--save", "mine", *change)
        assert done.returncode == 1
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert own_copy.query("FROM saved.mine").height == 3


@pytest.mark.slow
def test_the_shell_answers_over_several_lines(ingested: Warehouse) -> None:
    typed = "SELECT 6 *\n  7 AS answer;\n.tables\nDROP TABLE x;\n.help\nSELECT 3 AS three;\n.quit\n"
    command = [sys.executable, "-m", "fexp_store.cli", "-w", ingested.location, "sql"]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, check=True)
    assert "42" in done.stdout
    assert "expression_anova" in done.stdout
    assert "activations" in done.stdout
    assert done.stderr.count("open for reading only") == 1
    assert "three" in done.stdout

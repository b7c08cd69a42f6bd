"""Questions that want more than an answer. Further ones: tests/warehouse/test_query.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.victim import SECRET, Victim, make_secrets, tree

from fexp_store import BadInput, Warehouse

QUESTIONS = {
    "the environment": "SELECT getenv('FEXP_TEST_SECRET')",
    "a file by its name": "FROM '{outside}/secret.csv'",
    "a Parquet file by its name": "FROM '{outside}/secret.parquet'",
    "a database by its name": "FROM '{outside}/secret.duckdb'",
    "a relative file": "FROM '../outside/secret.csv'",
    "a file with a scheme": "FROM read_text('file://{outside}/secret.txt')",
    "through the warehouse": "FROM read_text('{wh}/activations/../../outside/secret.txt')",
    "through a pattern": "FROM read_text('{wh}/activations/**/../../../../../outside/*')",
    "beside the warehouse": "FROM read_text('{wh}/activations-secret.txt')",
    "a query in a query": "FROM query('FROM read_text(''{outside}/secret.txt'')')",
    "a table by its name": "FROM query_table('{outside}/secret.csv')",
    "in a subquery": "SELECT (SELECT content FROM read_text('{outside}/secret.txt'))",
    "in a lambda": "SELECT list_transform([1], x -> "
    "(SELECT content FROM read_text('{outside}/secret.txt')))",
    "in a common table": "WITH x AS (FROM read_text('{outside}/secret.txt')) FROM x",
    "in a lateral join": "FROM range(1) t(x), LATERAL (FROM read_text('{outside}/secret.txt'))",
    "by a variable": "SET VARIABLE fexp_root = '{outside}'",
    "by a prepared statement": "PREPARE x AS FROM read_text('{outside}/secret.txt')",
    "a macro of one's own": "CREATE TEMP MACRO x() AS TABLE FROM read_text('{outside}/secret.txt')",
    "two statements": "SELECT 1; FROM read_text('{outside}/secret.txt')",
    "two statements with a comment": "SELECT 1 /* ; */ ; ATTACH '{outside}/secret.duckdb'",
    "attach": "ATTACH '{outside}/secret.duckdb' AS s",
    "detach": "DETACH catalog",
    "use": "USE memory",
    "call": "CALL enable_logging(storage => 'file', storage_path => '{outside}/log')",
    "profile": "PRAGMA profile_output = '{outside}/profile'",
    "unlock": "SET lock_configuration = false",
    "home": "SET home_directory = '{outside}'",
    "extensions elsewhere": "SET extension_directory = '{outside}'",
    "load a file": "LOAD '{outside}/secret.txt'",
    "install": "INSTALL spatial",
    "update": "UPDATE EXTENSIONS",
    "an extension by its function": "SELECT st_point(1, 2)",
    "an extension by its reader": "FROM read_xlsx('{outside}/secret.xlsx')",
    "another database": "FROM postgres_scan('host=127.0.0.1', 'public', 't')",
    "a database of SQLite": "FROM sqlite_scan('{outside}/secret.db', 't')",
    "export": "EXPORT DATABASE '{outside}/x'",
    "import": "IMPORT DATABASE '{outside}/folder'",
    "copy from": "COPY stored.runs FROM '{outside}/secret.csv'",
    "copy a database": "COPY FROM DATABASE catalog TO memory",
    "a temporary table": "CREATE TEMP TABLE t AS FROM networks",
    "an index": "CREATE INDEX i ON stored.runs (run_id)",
    "a sequence": "CREATE SEQUENCE s",
    "a secret": "CREATE SECRET (TYPE s3)",
    "checkpoint": "FORCE CHECKPOINT",
    "vacuum": "VACUUM",
    "begin": "BEGIN TRANSACTION",
    "merge": "MERGE INTO stored.runs USING networks ON false WHEN NOT MATCHED THEN INSERT",
    "delete": "DELETE FROM stored.runs",
    "delete in a question": "WITH x AS (DELETE FROM stored.runs RETURNING *) FROM x",
    "objects of Python": "FROM connection",
}


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_question_gets_an_answer_from_the_warehouse_or_none(
    kind: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_secrets(tmp_path / "outside")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEXP_TEST_SECRET", SECRET)
    before = tree(tmp_path)
    query = QUESTIONS[kind].replace("{outside}", f"{tmp_path}/outside")
    wh = Warehouse(sound)
    with pytest.raises(BadInput) as refused:
        wh.query(query.replace("{wh}", wh.location))
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)
    assert tree(tmp_path) == before


TOO_MUCH = {
    "more memory than there is": "SELECT list(r) FROM range(3000000000) t(r)",
    "a text larger than any": "SELECT repeat('x', 5000000000)",
    "a list larger than memory": "SELECT range(9000000000)",
    "parentheses": "SELECT " + "(" * 40_000 + "1" + ")" * 40_000,
    "lists": "SELECT " + "[" * 40_000 + "]" * 40_000,
    "nots": "SELECT " + "NOT " * 100_000 + "true",
    "minuses": "SELECT " + "- " * 200_000 + "1",
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 5_000 + "networks" + ")" * 5_000,
    "common tables in one another": "WITH a AS (" * 3_000 + "SELECT 1" + ") FROM a" * 3_000,
    "unions": "SELECT 1" + " UNION SELECT 1" * 5_000,
    "casts": "SELECT 1" + "::INT" * 50_000,
    "a pattern that never ends": "SELECT regexp_matches(repeat('a', 100), '(a*)*b')",
    "a zero byte": "SELECT 1 \0 FROM networks",
    "nothing": "",
    "a comment": "-- nothing",
    "half a text": "SELECT 'a",
}
ANSWERED = {"a pattern that never ends", "unions"}  # at once


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_a_question_that_is_too_much_is_refused(victim: Victim, kind: str) -> None:
    (victim.outside.parent / "work" / "x.sql").write_text(TOO_MUCH[kind])
    done = victim("query", "x.sql")
    assert done.code == int(kind not in ANSWERED)

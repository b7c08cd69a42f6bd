"""SQL over files: rows that cannot be read are never left out silently, whatever asks for them."""

from __future__ import annotations

import random

import duckdb
import pytest

from fexp_store.warehouse import scans

TYPES = {
    "network": "VARCHAR",
    "layer": "VARCHAR",
    "unit_id": "INTEGER",
    "stimulus_id": "INTEGER",
    "activation": "FLOAT",
    "selective": "BOOLEAN",
    "label": "VARCHAR",
    "attributes": "MAP(VARCHAR, VARCHAR)",
}
ROWS = """
SELECT {network} AS network, 'l' AS layer, u.i::INTEGER AS unit_id, s.i::INTEGER AS stimulus_id,
       a.i::FLOAT AS activation, f.i = 1 AS selective, t.i::VARCHAR AS label,
       MAP {{'a': t.i::VARCHAR}} AS attributes
FROM range(6) AS u(i), range(6) AS s(i), range(-1, 4) AS a(i), range(2) AS f(i), range(5) AS t(i)
"""


@pytest.fixture(scope="module")
def client() -> duckdb.DuckDBPyConnection:
    """Tables of all rows that may be, and views in which one network, or all, is lost."""
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE one AS {ROWS.format(network=repr('lost'))}")
    connection.execute(f"CREATE TABLE good AS {ROWS.format(network=repr('good'))} LIMIT 300")
    connection.execute("CREATE TABLE every AS FROM one UNION ALL FROM good")
    lost = scans.failing("It's lost.", TYPES, {"network": "lost", "layer": "l"})
    connection.execute(f"CREATE VIEW lacks_one AS FROM good UNION ALL {lost}")
    connection.execute(f"CREATE VIEW lacks_every AS {scans.failing('All is lost.', TYPES)}")
    return connection


class Questions:
    """Random questions, over all columns and in all forms that a filter may have."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def number(self) -> str:
        columns = "unit_id", "stimulus_id", "activation", "unit_id + 1", "unit_id + stimulus_id"
        return self.random.choice([*columns, "abs(activation)", "label::INTEGER", "unit_id % 3"])

    def predicate(self, depth: int = 0) -> str:
        choose, number = self.random.choice, self.number
        compared = f"{number()} {choose(['=', '<', '>', '<=', '<>'])} "
        simple = [
            f"{compared} {self.random.randrange(5)}",
            f"{compared} {number()}",
            f"{number()} {choose(['', 'NOT'])} IN (1, {self.random.randrange(5)})",
            f"{number()} BETWEEN {self.random.randrange(3)} AND 3",
            f"{number()} IS {choose(['', 'NOT'])} NULL",
            f"{number()} IN (SELECT unnest([1, 2, 3]))",
            choose(["selective", "NOT selective", "label LIKE '1%'", "attributes['a'] = '2'"]),
            choose(["network = 'lost'", "network > 'a'", "layer = 'l'", "network <> 'x'"]),
            f"CASE WHEN {number()} > 2 THEN selective ELSE NOT selective END",
        ]
        if depth == 2 or self.random.random() < 0.6:
            return choose(simple)
        left, right = self.predicate(depth + 1), self.predicate(depth + 1)
        return choose([f"({left} AND {right})", f"({left} OR {right})", f"NOT ({left})"])

    def question(self, table: str) -> tuple[str, str]:
        """A question that needs the rows of a predicate, and the predicate."""
        where = self.predicate()
        rows = f"FROM {table} WHERE {where}"
        forms = [
            rows,
            f"SELECT count(*) {rows}",
            f"SELECT max(unit_id) {rows}",
            f"SELECT network, sum(activation) {rows} GROUP BY ALL",
            f"SELECT DISTINCT layer {rows}",
            f"SELECT * {rows} ORDER BY unit_id LIMIT 3",
            f"SELECT rank() OVER (PARTITION BY stimulus_id ORDER BY activation) {rows}",
            f"SELECT count(DISTINCT label) FROM ({rows})",
            f"SELECT count(*) FILTER ({where}) FROM {table}",
            f"WITH x AS ({rows}) SELECT (SELECT count(*) FROM x), (SELECT max(label) FROM x)",
            f"SELECT count(*) FROM ({rows}) JOIN (SELECT unit_id FROM good) USING (unit_id)",
        ]
        return self.random.choice(forms), where


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("lacking", "whole"), [("lacks_one", "one"), ("lacks_every", "every")])
def test_no_question_is_answered_without_the_rows_that_it_needs(
    client: duckdb.DuckDBPyConnection, lacking: str, whole: str, seed: int
) -> None:
    questions = Questions(seed)
    refused = 0
    for _ in range(80):
        question, where = questions.question(lacking)
        needs = client.execute(f"SELECT count(*) > 0 FROM {whole} WHERE {where}").fetchall()
        if needs == [(True,)]:
            with pytest.raises(duckdb.InvalidInputException, match="lost") as said:
                client.execute(question).fetchall()
            assert scans.sentence(str(said.value)) in {"It's lost.", "All is lost."}
            refused += 1
    assert refused > 40


def test_what_is_known_of_lost_rows_rules_them_out(client: duckdb.DuckDBPyConnection) -> None:
    for where in ("network = 'good'", "network LIKE 'g%' AND unit_id < 3", "layer = 'm'"):
        first, second = (
            client.execute(f"SELECT count(*), sum(unit_id) FROM {table} WHERE {where}").fetchall()
            for table in ("lacks_one", "good")
        )
        assert first == second

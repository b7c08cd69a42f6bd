"""Claims of a study: each has a query that runs, beside what was published."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.planted import add_network, morph_rows, plant, prototype_rows, register_rows
from support.writing import Fexp

from fexp_store import BadInput, Warehouse
from fexp_store.expressions import BASIC
from fexp_store.progress import no_bar
from fexp_store.study.claims import answers
from fexp_store.study.file import read_study
from fexp_store.study.run import analyse

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "zhou2022.toml"
NETWORKS = ("vgg_face", "vgg16", *(f"vgg_face_untrained_{i}" for i in range(3)))
SMALL = {
    "select": "alpha = 0.05",
    "reliability": "alpha = 0.05\nsplits = 3\nsubsets = 1",
    "tune": "",
    "decode": "folds = 3\nshuffles = 2",
    "confuse": "folds = 3\nresamples = 5\ntest = 'set2'",
    "confuse ": "folds = 3\nresamples = 5\ntest = 'wild'",
    "categorize": "folds = 3\nresamples = 2\nmorphs = 'morphs'",
    "compare": "",
}
PAPER = (("happiness", "anger"), ("anger", "fear"))


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The networks and sets of the example, small and planted, with all its analyses."""
    root = tmp_path_factory.mktemp("studied")
    wh = Warehouse.create(root / "warehouse")
    people, levels = [f"p{i}" for i in range(6)], np.linspace(0, 1, 5)
    register_rows(wh, "set1", prototype_rows(people))
    for name in ("set2", "wild"):
        register_rows(wh, name, prototype_rows([f"{name}{i}" for i in range(4)]))
    register_rows(wh, "morphs", morph_rows(people, PAPER, levels))
    rng, pattern = np.random.default_rng(0), np.kron(np.eye(6), np.ones(3)) * 3
    morphs = np.concatenate(
        [
            np.tile(np.outer(1 - levels, pattern[a]) + np.outer(levels, pattern[b]), (6, 1))
            for a, b in ((BASIC.index(a), BASIC.index(b)) for a, b in PAPER)
        ]
    )
    for name in NETWORKS:
        group = "vgg_face_untrained" if "untrained" in name else name
        add_network(wh, name, 18, group, ("conv5_3",))
        shown = {"set1": np.tile(pattern, (6, 1)), "morphs": morphs}
        for stimulus_set in ("set2", "wild"):
            shown[stimulus_set] = np.tile(pattern, (4, 1))
        for stimulus_set, values in shown.items():
            noise = rng.normal(size=values.shape)
            plant(wh, name, stimulus_set, values + noise, "conv5_3")
    lines = [f'[[sets]]\nname = "{name}"' for name in ("set1", "set2", "wild", "morphs")]
    lines += [f'[[networks]]\nname = "{name}"\nlayers = ["conv5_3"]' for name in NETWORKS]
    for run, options in SMALL.items():
        lines.append(f'[[analyses]]\nrun = "{run.strip()}"\nstimuli = "set1"\n{options}')
    (root / "study.toml").write_text("\n".join(lines))
    analyse(wh, read_study(root / "study.toml"), no_bar)
    return wh


@pytest.fixture(scope="module")
def found(studied: Warehouse) -> pl.DataFrame:
    return answers(studied, read_study(EXAMPLE).claims)


def numbers(found: pl.DataFrame, query: str, what: str) -> list[tuple[float | None, float | None]]:
    rows = found.filter(pl.col("query") == f"{query}.sql", pl.col("what").str.contains(what))
    return rows.select("found", "published").unique(maintain_order=True).rows()


@pytest.mark.slow
def test_every_claim_of_the_paper_is_answered_from_results(found: pl.DataFrame) -> None:
    claims = [claim.text for claim in read_study(EXAMPLE).claims]
    assert found["claim"].unique(maintain_order=True).to_list() == claims
    assert found["what"].null_count() == 0
    unknown = found.filter(pl.col("found").is_null())["what"]
    # Nothing is confused here, and chance selects nothing.
    assert unknown.str.contains("Jaccard with shuffled labels|errors cells").all()


@pytest.mark.slow
def test_what_was_published_stands_beside_what_is_found(
    studied: Warehouse, found: pl.DataFrame
) -> None:
    (count,) = numbers(found, "units_emerge", "vgg_face conv5_3: selective units")
    selective = "SELECT count_if(selective) FROM selectivity WHERE network = 'vgg_face'"
    assert count == (studied.frame(selective).item(), None)
    shares = [numbers(found, "preferred_expressions", name)[0] for name in sorted(BASIC)]
    assert [share[1] for share in shares] == [0.26, 0.17, 0.03, 0.23, 0.05, 0.27]
    assert sum(share[0] for share in shares) == pytest.approx(1)
    best = "SELECT preferred, count(*) / 6 AS n FROM tuning WHERE network = 'vgg_face' GROUP BY 1"
    counts = dict(studied.frame(best).rows())
    for name, share in zip(sorted(BASIC), shares, strict=True):
        assert share[0] == pytest.approx(counts.get(name, 0) / sum(counts.values()))
    decoded = numbers(found, "expressions_are_decoded", "svc")
    assert [published for _, published in decoded] == [0.77, 0.16]
    assert decoded[0][0] > decoded[1][0] + 0.3
    for network, r in (("vgg_face", 0.64), ("vgg16", 0.07), ("vgg_face_untrained_1", 0.03)):
        all_cells = numbers(found, "confusions_of_people", rf"^{network} .* all cells")
        assert [round(published, 2) for _, published in all_cells][-1] == r
    r = [p for _, p in numbers(found, "confusions_of_people", "^vgg_face conv5_3 ")][:2]
    assert r == pytest.approx([0.94, 0.73], abs=0.01)
    fits = numbers(found, "perception_is_categorical", "^vgg_face conv5_3 ")
    assert [published for _, published in fits] == [0.934, 0.996, 0.972]  # linear, logistic, poly2
    differences = numbers(found, "networks_differ", "R2 of logistic .*vgg16 minus vgg_face")
    differences += numbers(found, "networks_differ", "R2 of logistic .*vgg_face minus vgg16")
    assert [abs(published) for _, published in differences] == [pytest.approx(0.006)]


def test_without_results_every_claim_has_a_row_of_nulls(empty: Warehouse) -> None:
    claims = read_study(EXAMPLE).claims
    rows = answers(empty, claims)
    assert rows.height == len(claims) == 9
    assert rows.select("what", "found", "published").null_count().row(0) == (9, 9, 9)


def test_every_query_is_used_and_says_what_it_asks() -> None:
    files = sorted((ROOT / "examples" / "claims").glob("*.sql"))
    assert {claim.query.name for claim in read_study(EXAMPLE).claims} == {f.name for f in files}
    for file in files:
        first, *others = file.read_text().splitlines()
        assert first.startswith("-- ")
        assert first.endswith("?")
        assert "Parameters" in others[0] or "Parameter:" in others[0]


def test_what_can_be_read_off_the_figures_is_published(empty: Warehouse) -> None:
    shares = empty.frame("SELECT value FROM published WHERE quantity = 'preferred_share'")
    assert shares["value"].sum() == pytest.approx(1, abs=0.02)
    stars = empty.frame("SELECT model, value FROM published WHERE quantity LIKE '%_stars'")
    assert stars["value"].is_in([0.0, 1.0, 2.0, 3.0]).all()
    assert stars["model"].is_not_null().all()
    rows = empty.frame("SELECT quantity, provenance FROM published")
    assert rows["provenance"].str.contains(r"^figure \d[A-F]").all()
    described = empty.frame(
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'published' "
        "AND column_name = 'quantity'"
    ).item()
    for quantity in rows["quantity"].unique():
        assert quantity.removesuffix("_bar").removesuffix("_sd") in described


CLAIM = '[[claims]]\ntext = "One."\nquery = "one.sql"\nparameters = { n = 3 }\n'
WRONG = {
    "an unknown key": (CLAIM + "units = 3\n", "", "line 5: unknown key 'units'"),
    "no query": ('[[claims]]\ntext = "One."\n', "", "line 1: query is needed"),
    "no file": (
        CLAIM.replace("one.sql", "two.sql"),
        "",
        "line 1: The query .*two.sql does not exi",
    ),
    "another column": (CLAIM, "SELECT $n AS found", "line 1: .* and one.sql returns found"),
    "texts": (CLAIM, "SELECT $n::VARCHAR AS what, 'x' AS found, 1 AS published", "line 1: the qu"),
    "no query of ours": (CLAIM, "DROP TABLE networks", "line 1: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_claim_is_named_with_its_line(
    empty: Warehouse, tmp_path: Path, name: str
) -> None:
    text, query, message = WRONG[name]
    (tmp_path / "study.toml").write_text(text)
    (tmp_path / "one.sql").write_text(query)
    with pytest.raises(BadInput, match=message) as error:
        answers(empty, read_study(tmp_path / "study.toml").claims)
    assert "\n" not in str(error.value)


def test_claims_at_the_command_line(empty: Warehouse, fexp: Fexp, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(CLAIM)
    query = "SELECT 'n' AS what, $n AS found, 2.5 AS published"
    (tmp_path / "one.sql").write_text(query)
    done = fexp("-w", empty.location, "study", "check", "study.toml", "--claims", "-f", "json")
    said = {"claim": "One.", "query": "one.sql", "what": "n", "found": 3.0, "published": 2.5}
    assert json.loads(done.stdout) == [said], done.stderr
    by_hand = fexp("-w", empty.location, "query", "one.sql", "-p", "n=3", "-f", "json")
    (row,) = json.loads(by_hand.stdout)
    assert row == {"what": "n", "found": 3, "published": 2.5}
    steps = fexp("-w", empty.location, "study", "check", "study.toml", "-f", "csv")
    assert re.match(r"step,done,why", steps.stdout)

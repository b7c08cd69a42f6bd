"""Confusion matrices: planted ones recovered, similarity against scipy, published correlations."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.planted import add_network, plant, prototype_rows, register_rows
from support.writing import Fexp

from fexp_store import BadInput, Conflict, Warehouse
from fexp_store.analyses.expressions.confuse import Options, confuse
from fexp_store.analyses.expressions.humans import add_responses, compare_responses, read_tables
from fexp_store.analyses.expressions.similarity import (
    confusion_counts,
    row_normalised,
    similarities_of,
)
from fexp_store.analyses.resampling import resampled_accuracies
from fexp_store.expressions import BASIC
from fexp_store.warehouse.place import Place

LABELS = list(BASIC)


def random_tables(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(6, 6)) + np.eye(6), rng.integers(0, 9, (6, 6)).astype(float)


def test_correlations_are_those_of_scipy() -> None:
    by_scipy = {
        "pearson": stats.pearsonr,
        "spearman": stats.spearmanr,
        "kendall": stats.kendalltau,
    }
    one, other = random_tables(0)
    normal = [x / x.sum(axis=1, keepdims=True) for x in (one, other)]
    for found in similarities_of(one, other):
        mask = np.ones((6, 6), bool) if found.cells == "all" else ~np.eye(6, dtype=bool)
        expected = by_scipy[found.statistic](normal[0][mask], normal[1][mask])[0]
        assert found.value == pytest.approx(expected, abs=1e-12)
        assert found.n_cells == mask.sum()


def test_p_counts_relabellings_of_the_expressions() -> None:
    one, other = random_tables(1)
    found = similarities_of(one, other)[3]
    assert (found.cells, found.statistic) == ("errors", "pearson")
    mask = ~np.eye(6, dtype=bool)
    a, b = row_normalised(one), row_normalised(other)[mask]
    every = [
        stats.pearsonr(a[np.ix_(order, order)][mask], b)[0] for order in permutations(range(6))
    ]
    assert found.p == pytest.approx(np.mean(np.array(every) >= every[0] - 1e-12))


def test_identical_tables_correlate_perfectly_and_flat_ones_not_at_all() -> None:
    one, _ = random_tables(2)
    assert all(s.value == pytest.approx(1) for s in similarities_of(one, one * 7))
    flat = similarities_of(one, np.ones((6, 6)))
    assert {(s.value, s.p) for s in flat} == {(None, None)}


def test_the_published_correlations_are_found(empty: Warehouse) -> None:
    rows = compare_responses(empty)
    here = rows.filter(
        network="vgg_face",
        network_set="zhou2022_figure2",
        observer_set="zhou2022_figure2",
        statistic="pearson",
    )
    found = dict(here.select("cells", "value").iter_rows())
    assert {cells: round(value, 2) for cells, value in found.items()} == {
        "all": 0.94,
        "errors": 0.73,
    }


def noise_p(seed: int) -> float:
    """p of the similarity of two tables of which one counts random answers."""
    rng = np.random.default_rng(seed)
    answers = rng.choice(LABELS, 300).tolist()
    counts = confusion_counts(LABELS * 50, answers, LABELS)["count"].to_numpy().reshape(6, 6)
    human = np.random.default_rng(7).uniform(size=(6, 6)) + np.eye(6)
    p = similarities_of(counts.astype(float), human)[3].p
    assert p is not None
    return p


def test_p_is_uniform_on_noise() -> None:
    p_values = [noise_p(seed) for seed in range(200)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_bootstrap_is_that_of_resampled_people() -> None:
    rng = np.random.default_rng(1)
    who = np.repeat(np.arange(20), 5)
    right = rng.random(100) < np.repeat(rng.beta(1, 1, 20), 5)  # people differ
    drawn = resampled_accuracies(right, who.astype(str), 4000, np.random.default_rng(0))
    people = right.reshape(20, 5)
    by_hand = [people[rng.integers(0, 20, 20)].mean() for _ in range(4000)]
    assert stats.ks_2samp(np.round(drawn, 4), np.round(by_hand, 4)).pvalue > 0.01


def planted_confusions(wh: Warehouse, people: int = 100) -> np.ndarray:
    """Train on clean responses; test on responses of which some are those of another expression.

    Anger is answered as disgust in 30 % of the people, fear as surprise in 40 %, and sadness as
    fear in 10 %.
    """
    rng = np.random.default_rng(0)
    patterns = rng.normal(0, 3, (6, 40))
    add_network(wh, "net", 40)
    for name in ("train", "test"):
        register_rows(wh, name, prototype_rows([f"{name}{i}" for i in range(people)]))
    shown = np.tile(np.arange(6), (people, 1))
    plant(wh, "net", "train", patterns[shown.ravel()] + rng.normal(size=(people * 6, 40)))
    looks_like = shown.copy()
    for depicted, answered, share in ((0, 1, 0.3), (2, 5, 0.4), (4, 2, 0.1)):
        looks_like[: round(share * people), depicted] = answered
    plant(wh, "net", "test", patterns[looks_like.ravel()] + rng.normal(size=(people * 6, 40)))
    expected = np.eye(6)
    expected[0, :2] = 0.7, 0.3
    expected[2, [2, 5]] = 0.6, 0.4
    expected[4, [4, 2]] = 0.9, 0.1
    return expected


def test_planted_confusions_are_recovered(empty: Warehouse, tmp_path: Path) -> None:
    expected = planted_confusions(empty)
    file = tmp_path / "people.csv"
    lines = [",".join(("depicted", *LABELS))]
    lines += [
        ",".join((label, *map(str, row))) for label, row in zip(LABELS, expected, strict=True)
    ]
    file.write_text("\n".join(lines))
    assert add_responses(empty, file, study="planted", stimulus_set="test") == 36
    place = Place("net", "planted", "train")
    found = confuse(empty, place, Options(test="test", units="all"))
    stored = empty.frame("FROM confusion ORDER BY depicted, response")
    assert stored["proportion"].to_numpy().reshape(6, 6) == pytest.approx(expected, abs=0.03)
    assert stored["count"].sum() == 600
    assert found.shared_identities == 0
    ours = empty.frame("FROM similarity WHERE study = 'planted' AND statistic = 'pearson'")
    assert (ours["value"] > 0.99).all()
    assert ours["p"].max() < 0.01
    accuracies = empty.frame("FROM generalisation ORDER BY resample")["accuracy"]
    assert accuracies[0] == found.found.accuracy == pytest.approx(expected.trace() / 6, abs=0.03)
    assert len(accuracies) == 1001
    assert found.found.accuracy_low < found.found.accuracy < found.found.accuracy_high
    within = confuse(empty, place, Options(units="all", folds=3))
    assert within.found.accuracy > 0.97
    both = empty.frame("SELECT DISTINCT test_set FROM confusion ORDER BY ALL")
    assert both["test_set"].to_list() == ["test", "train"]


def test_responses_come_from_long_files_too(empty: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text("observer,depicted,response,count\nann,Fear,fear,8\nann,fear,surprise,2\n")
    assert add_responses(empty, file, study="ours") == 2
    (table,) = (t for t in read_tables(empty, "human") if t.study == "ours")
    assert (table.observer, table.expressions) == ("ann", ("fear", "surprise"))
    assert table.values.tolist() == [[8, 2], [0, 0]]
    with pytest.raises(Conflict, match="Responses of ann to unknown in the study ours"):
        add_responses(empty, file, study="ours")


BAD = {
    "depicted,response\nfear,fear\n": "neither a column count nor a column proportion",
    "depicted,response,count\nfear,envy,3\n": "'envy' is not an expression",
    "depicted,response,count\nfear,fear,-3\n": "number of 0 or more in every cell",
    "depicted,fear\nfear,many\n": "number of 0 or more in every cell",
    "depicted,response,count\nfear,fear,3\nfear,fear,4\n": "two values for one depicted",
}


@pytest.mark.parametrize("text", BAD)
def test_responses_that_cannot_be_used_are_refused(
    empty: Warehouse, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(BadInput, match=BAD[text]):
        add_responses(empty, file, study="ours")
    assert empty.frame("FROM stored.responses").is_empty()


@pytest.mark.slow
def test_the_commands_print_what_is_stored(fexp: Fexp, own_copy: Warehouse) -> None:
    warehouse = ("-w", own_copy.location)
    place = ("--network", "dlib", "--layer", "embedding", "--stimuli", "set1", "--units", "all")
    decoded = fexp(*warehouse, "decode", *place, "--folds", "4", "--shuffles", "3", "-f", "json")
    assert decoded.returncode == 0, decoded.stderr
    confused = fexp(*warehouse, "confuse", *place, "--folds", "4")
    assert (confused.returncode, confused.stdout.count("zhou2022_figure2")) == (0, 6)
    published = fexp(*warehouse, "responses", "compare", "-f", "csv")
    assert published.stdout.count("\n") == 1 + 4 * 3 * 6

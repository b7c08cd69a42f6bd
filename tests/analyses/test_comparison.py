"""Comparison of networks: tests against scipy, replicates, and what is missing."""

from __future__ import annotations

import re
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats
from statsmodels.stats.multitest import multipletests
from support.planted import add_network, plant, prototype_rows, register_rows
from support.writing import state

from benchmarks.calibration_compare import equal_networks, p_of_equal
from fexp_store import BadInput, NotFound, Warehouse
from fexp_store.analyses.comparison.compare import Options, compare
from fexp_store.analyses.expressions.confuse import Options as ConfuseOptions
from fexp_store.analyses.expressions.confuse import confuse
from fexp_store.analyses.expressions.decode import Options as DecodeOptions
from fexp_store.analyses.expressions.decode import decode
from fexp_store.warehouse.place import Place

pytestmark = pytest.mark.slow

STRENGTH = {"good": 0.9, "weak": 0.5, "seed0": 0.0, "seed1": 0.1, "seed2": 0.2}


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Five networks of which three are replicates, decoded from 10 people."""
    empty = Warehouse.create(tmp_path_factory.mktemp("decoded") / "warehouse")
    register_rows(empty, "faces", prototype_rows([f"p{i}" for i in range(10)]))
    register_rows(empty, "others", prototype_rows([f"q{i}" for i in range(8)]))
    rng = np.random.default_rng(0)
    pattern = rng.normal(size=(6, 30))
    for name, strength in STRENGTH.items():
        add_network(empty, name, 30, "untrained" if name.startswith("seed") else None)
        for stimulus_set, n in (("faces", 10), ("others", 8)):
            noise = rng.normal(size=(6 * n, 30))
            plant(empty, name, stimulus_set, np.tile(pattern, (n, 1)) * strength + noise)
        place = Place(name, "planted", "faces")
        decode(empty, place, DecodeOptions(units="all", folds=5, shuffles=0))
        confuse(empty, place, ConfuseOptions(test="others", units="all", resamples=5))
    return empty


def places(*networks: str) -> list[Place]:
    return [Place(name, "planted", "faces") for name in networks]


def folds(wh: Warehouse, *networks: str) -> np.ndarray:
    rows = wh.frame("FROM decoding WHERE shuffle = 0 ORDER BY fold")
    return np.stack([rows.filter(network=n)["accuracy"].to_numpy() for n in networks])


def answers(wh: Warehouse, network: str, kind: str) -> np.ndarray:
    """Right answers of each identity of the images that a run of a kind classified."""
    rows = wh.frame(
        "SELECT s.identity, count_if(p.depicted = p.response) AS n FROM predictions p JOIN runs r "
        "USING (run_id) JOIN stimuli s ON s.stimulus_set = p.stimulus_set AND s.stimulus_id = "
        "p.stimulus_id WHERE p.network = $network AND r.kind = $kind GROUP BY ALL ORDER BY ALL",
        network=network,
        kind=kind,
    )
    return rows["n"].to_numpy().astype(float)


def test_folds_are_tested_by_the_corrected_t(decoded: Warehouse) -> None:
    found = compare(decoded, places(*STRENGTH), Options(units="all"))
    here = found.filter(measure="decoding accuracy", sampled_by="fold")
    row = here.filter(network_a="good", network_b="weak").row(0, named=True)
    a, b = folds(decoded, "good", "weak")
    error = np.sqrt((1 / 5 + 12 / 48) * (a - b).var(ddof=1))
    t = (a - b).mean() / error
    p = 2 * stats.t.sf(abs(t), 4)
    reach = stats.t.ppf(0.975, 4) * error
    expected = (t, p, (a - b).mean(), (a - b).mean() - reach, (a - b).mean() + reach)
    columns = ("statistic", "p", "difference", "low", "high")
    assert [row[name] for name in columns] == pytest.approx(expected, abs=1e-9)
    assert row["test"] == "corrected resampled t"
    assert here.height == 3
    assert here["p_holm"].to_numpy() == pytest.approx(
        multipletests(here["p"].to_numpy(), method="holm")[1]
    )
    stored = decoded.frame("FROM comparison")
    assert stored.height == found.height
    assert stored["name"].unique().to_list() == ["faces"]


@pytest.mark.parametrize(
    ("measure", "kind"), [("decoding accuracy", "decode"), ("accuracy on others", "confuse")]
)
def test_accuracies_are_tested_over_identities(decoded: Warehouse, measure: str, kind: str) -> None:
    found = compare(decoded, places("good", "weak"), Options(units="all", permutations=100_000))
    (row,) = found.filter(measure=measure, sampled_by="identity").to_dicts()
    a, b = (answers(decoded, name, kind) for name in ("good", "weak"))
    by_scipy = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).sum(axis=axis),
        permutation_type="samples",
        n_resamples=1e5,
    )
    assert row["p"] == pytest.approx(by_scipy.pvalue, abs=1e-9)
    difference = (a - b) / 6
    low, high = stats.ttest_1samp(difference, 0).confidence_interval()
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (difference.mean(), low, high), abs=1e-9
    )
    assert row["effect"] == pytest.approx(difference.mean() / difference.std(ddof=1), abs=1e-9)
    n = len(difference)
    for end, q in (("effect_low", 0.975), ("effect_high", 0.025)):
        t = row["effect"] * np.sqrt(n)
        assert stats.nct.cdf(t, n - 1, row[end] * np.sqrt(n)) == pytest.approx(q, abs=1e-5)
    assert (row["n_a"], row["n_b"]) == (n, n)


def test_replicates_are_averaged_and_their_spread_is_given(decoded: Warehouse) -> None:
    found = compare(decoded, places(*STRENGTH), Options(units="all"))
    pair = found.filter(network_a="good", network_b="untrained")
    (row,) = pair.filter(measure="decoding accuracy", sampled_by="fold").to_dicts()
    seeds = folds(decoded, "seed0", "seed1", "seed2")
    assert (row["replicates_a"], row["replicates_b"], row["n_b"]) == (1, 3, 5)
    assert row["mean_b"] == pytest.approx(seeds.mean())
    assert row["sd_b"] == pytest.approx(seeds.mean(axis=0).std(ddof=1))
    assert row["replicate_sd_a"] is None
    assert row["replicate_sd_b"] == pytest.approx(seeds.mean(axis=1).std(ddof=1))
    (good,) = folds(decoded, "good")
    single = pair.filter(measure="decoding accuracy", test="replicates t").row(0, named=True)
    means = seeds.mean(axis=1)
    t = (good.mean() - means.mean()) / (means.std(ddof=1) * np.sqrt(4 / 3))
    assert single["statistic"] == pytest.approx(t)
    assert single["effect"] == pytest.approx((good.mean() - means.mean()) / means.std(ddof=1))
    measures = pair.filter(sampled_by="identity")
    assert measures.filter(measure="accuracy on others")["test"].to_list() == ["label permutation"]
    people = measures.filter(pl.col("measure").str.starts_with("pearson with zhou2022 zhou2022"))
    assert set(people["test"]) <= {"jackknife t"}


def test_every_row_has_a_difference_with_an_interval_and_an_effect(decoded: Warehouse) -> None:
    found = compare(decoded, places("good", "weak"), Options(units="all"))
    similar = found.filter(pl.col("measure").str.starts_with("pearson"))
    assert set(similar["test"]) == {"label permutation"}
    for value, low, high in (
        ("difference", "low", "high"),
        ("effect", "effect_low", "effect_high"),
    ):
        inside = (found[low] <= found[value]) & (found[value] <= found[high])
        assert inside.all()
        assert found[value].null_count() == 0
    assert found["difference"].to_numpy() == pytest.approx(
        (found["mean_a"] - found["mean_b"]).to_numpy()
    )


def test_what_cannot_be_compared_is_refused(decoded: Warehouse) -> None:
    with pytest.raises(BadInput, match="two networks that are not replicates"):
        compare(decoded, places("seed0", "seed1"), Options(units="all"))
    with pytest.raises(NotFound, match="good planted has no results on faces with selective"):
        compare(decoded, places("good", "weak"), Options())


@pytest.mark.parametrize(
    ("option", "one", "other"),
    [("folds", 5, 4), ("seed", 0, 1), ("kernel", "linear", "rbf"), ("C", 1.0, 2.0)],
)
def test_results_of_classifiers_that_were_trained_otherwise_are_refused(
    decoded: Warehouse, tmp_path: Path, option: str, one: Any, other: Any
) -> None:
    shutil.copytree(decoded.location, tmp_path / "copy")
    wh = Warehouse(tmp_path / "copy")
    changed: dict[str, Any] = {"units": "all", "folds": 5, "shuffles": 0} | {option: other}
    decode(wh, Place("weak", "planted", "faces"), DecodeOptions(**changed))
    before = state(wh)
    sentence = (
        f"good planted and weak planted cannot be compared: decode had {option} {one} for one "
        f"and {other} for the other; run fexp decode again on one."
    )
    with pytest.raises(BadInput, match=f"^{re.escape(sentence)}$"):
        compare(wh, places("good", "weak"), Options(units="all"))
    assert state(wh) == before
    decode(wh, Place("good", "planted", "faces"), DecodeOptions(**changed))
    assert compare(wh, places("good", "weak"), Options(units="all")).height > 0


def test_layers_of_one_network_are_compared_and_never_averaged(empty: Warehouse) -> None:
    register_rows(empty, "faces", prototype_rows([f"p{i}" for i in range(10)]))
    rng = np.random.default_rng(0)
    pattern = np.tile(rng.normal(size=(6, 30)), (10, 1))
    strengths = {("net", "high"): 0.9, ("net", "low"): 0.4, ("twin", "high"): 0.6}
    strengths[("twin", "low")] = 0.2
    for network in ("net", "twin"):
        add_network(empty, network, 30, layers=("low", "high"))
    accuracies = {}
    for (network, layer), strength in strengths.items():
        values = pattern * strength + rng.normal(size=(60, 30))
        plant(empty, network, "faces", values, layer)
        place = Place(network, layer, "faces")
        decode(empty, place, DecodeOptions(units="all", folds=5, shuffles=0))
        rows = empty.frame("FROM decoding WHERE shuffle = 0 ORDER BY fold")
        here = rows.filter(network=network, layer=layer)
        accuracies[network, layer] = here["accuracy"].to_numpy()
    found = compare(empty, [Place(*key, "faces") for key in strengths], Options(units="all"))
    paired = found.filter(test="corrected resampled t")
    assert paired.height == 6
    for one, other in combinations(sorted(strengths), 2):
        where = dict(
            zip(("network_a", "layer_a", "network_b", "layer_b"), one + other, strict=True)
        )
        (row,) = paired.filter(**where).to_dicts()
        a, b = accuracies[one], accuracies[other]
        assert (row["mean_a"], row["mean_b"]) == pytest.approx((a.mean(), b.mean()))
        t, _ = stats.ttest_rel(a, b)
        assert row["statistic"] == pytest.approx(t * np.sqrt(0.2 / (0.2 + 0.25)))
        assert (row["replicates_a"], row["replicates_b"]) == (1, 1)
    stored = empty.frame("FROM comparison").select(found.columns)
    assert_frame_equal(stored, found, check_row_order=False)
    within = compare(
        empty, [Place("net", x, "faces") for x in ("low", "high")], Options(units="all")
    )
    assert within.select("network_a", "network_b", "layer_a", "layer_b").unique().rows() == [
        ("net", "net", "high", "low")
    ]


def test_networks_that_were_made_elsewhere_are_compared_as_in_memory(empty: Warehouse) -> None:
    for name in ("faces", "others"):
        register_rows(empty, name, prototype_rows([f"{name}{i:02}" for i in range(20)]))
    for name, parts in zip(("one", "two"), equal_networks(0, 2), strict=True):
        for stimulus_set, values in zip(("faces", "others"), parts, strict=True):
            empty.put(name, "planted", stimulus_set, values, source="simulated", training="none")
        place = Place(name, "planted", "faces")
        decode(empty, place, DecodeOptions(units="all", folds=5, components=20, shuffles=0))
        confuse(empty, place, ConfuseOptions(test="others", units="all", components=20))
    found = compare(empty, places("one", "two"), Options(units="all"))
    by_hand = p_of_equal(0)
    p = {(row["measure"], row["sampled_by"]): row["p"] for row in found.to_dicts()}
    assert p["decoding accuracy", "fold"] == pytest.approx(
        by_hand["folds, corrected resampled t"], abs=1e-6
    )
    for measure, test in (
        ("decoding accuracy", "decoding, label permutation"),
        ("accuracy on others", "accuracy on a set, label permutation"),
    ):
        assert p[measure, "identity"] == pytest.approx(by_hand[test], abs=0.06)  # other draws
    assert sum(name.startswith("pearson with") for name, _ in p) >= 2

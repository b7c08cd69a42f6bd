"""Selection inside folds: against loops with scipy and scikit-learn, and noise that stays noise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from support.planted import add_network, plant, prototype_rows, register_rows

from fexp_store import BadInput, Warehouse
from fexp_store.analyses.expressions import spaces
from fexp_store.analyses.expressions.confuse import Options as ConfuseOptions
from fexp_store.analyses.expressions.confuse import confuse
from fexp_store.analyses.expressions.cross_validation import shuffle_within
from fexp_store.analyses.expressions.decode import Options, decode
from fexp_store.analyses.expressions.spaces import Space, as_bits, as_ids
from fexp_store.analyses.selectivity.anova import Design
from fexp_store.analyses.selectivity.criterion import Criterion
from fexp_store.analyses.selectivity.nested import select_in_folds
from fexp_store.analyses.selectivity.select import Options as SelectOptions
from fexp_store.analyses.selectivity.select import select
from fexp_store.expressions import BASIC
from fexp_store.warehouse.place import Place

PLACE = Place("net", "planted", "set1")
PEOPLE = [f"p{i:02}" for i in range(8)]


def stored(wh: Warehouse, values: NDArray[Any], people: list[str], name: str = "set1") -> None:
    """Store responses to one image per person and expression."""
    register_rows(wh, name, prototype_rows(people))
    if name == "set1":
        add_network(wh, "net", values.shape[1])
    plant(wh, "net", name, values)


def f_tests(x: NDArray[Any], levels: NDArray[Any], people: NDArray[Any]) -> tuple[float, float]:
    """p of expression and of person in one unit: two-way analysis of variance by hand."""
    grand = x.mean()
    sums = []
    for factor in (levels, people):
        names = np.unique(factor)
        means = [x[factor == name].mean() for name in names]
        sums.append(len(x) / len(names) * np.sum((np.array(means) - grand) ** 2))
    error = np.sum((x - grand) ** 2) - sum(sums)
    df = [len(np.unique(factor)) - 1 for factor in (levels, people)]
    p = [
        float(stats.f.sf(s / d / (error / np.prod(df)), d, np.prod(df)))
        for s, d in zip(sums, df, strict=True)
    ]
    return p[0], p[1]


def selected(x: NDArray[Any], levels: NDArray[Any], people: NDArray[Any], alpha: float) -> Any:
    """Units that the rule selects, one after another."""
    varying = np.ptp(x, axis=0) > 0
    p = [f_tests(x[:, i], levels, people) if varying[i] else (1.0, 0.0) for i in range(x.shape[1])]
    return np.array([a < alpha < b for a, b in p])


def test_units_of_each_fold_and_labelling_are_those_of_its_training_images(
    empty: Warehouse,
) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(1000, 1, size=(48, 60)).astype(np.float32)
    values[:, :20] += np.tile(np.repeat(np.eye(6), 4, axis=1)[:, :20], (8, 1)) * 2
    values[:, 30:40] += np.repeat(rng.normal(size=(8, 10)), 6, axis=0) * 2
    values[:, 50] = 7  # never varies
    values[12:, 51] = 7  # varies in the first two people only
    stored(empty, values, PEOPLE)
    levels = np.tile(np.arange(6), 8)
    people = np.repeat(np.arange(8), 6)
    shuffled = shuffle_within(levels, people, rng)
    labellings = np.stack([levels, shuffled]).astype(np.int8)
    held_out = [np.array([0, 1]), np.array([2, 5, 6]), np.empty(0, np.intp)]
    stimuli = empty.frame("FROM stimuli WHERE stimulus_set = 'set1' ORDER BY stimulus_id")
    found = select_in_folds(
        empty, PLACE, Design.of(stimuli), labellings, held_out, Criterion(alpha=0.05)
    )
    x = values.astype(np.float64)
    for fold, out in enumerate(held_out):
        taught = ~np.isin(people, out)
        for row, labels in enumerate(labellings):
            expected = selected(x[taught], labels[taught], people[taught], 0.05)
            assert as_ids(found.selective[row, fold]).tolist() == np.flatnonzero(expected).tolist()
        varies = np.ptp(x[taught], axis=0) > 0
        assert as_ids(found.varying[fold]).tolist() == np.flatnonzero(varies).tolist()
    assert 51 not in as_ids(found.varying[0])
    assert as_ids(found.selective[0, 2]).size > 5


@pytest.mark.slow
def test_each_answer_is_that_of_a_loop_that_selects_in_every_fold_and_shuffle(
    empty: Warehouse,
) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(48, 90)).astype(np.float32)
    values[:, :30] += np.tile(np.repeat(np.eye(6), 5, axis=1), (8, 1))
    stored(empty, values, PEOPLE)
    options = Options(folds=4, seed=3, shuffles=2, alpha=0.05, components=7)
    decode(empty, PLACE, options)
    labels, people = np.tile(np.array(BASIC), 8), np.repeat(np.array(PEOPLE), 6)
    shuffles = np.random.default_rng(3)
    every = [labels, *(shuffle_within(labels, people, shuffles) for _ in range(2))]
    x = values.astype(np.float64)
    svc = SVC(kernel="poly", degree=1, coef0=0, gamma="scale")
    rows = empty.frame("FROM decoding ORDER BY shuffle, fold")
    splits = list(GroupKFold(4, shuffle=True, random_state=3).split(x, groups=people))
    for shuffle, taught in enumerate(every):
        for fold, (train, test) in enumerate(splits):
            units = selected(x[train], taught[train], people[train], 0.05)
            assert units.any()
            pipeline = make_pipeline(PCA(min(7, units.sum())), svc)
            answers = pipeline.fit(x[np.ix_(train, units)], taught[train]).predict(
                x[np.ix_(test, units)]
            )
            (row,) = rows.filter(shuffle=shuffle, fold=fold).to_dicts()
            assert row["n_units"] == units.sum()
            assert row["components"] == min(7, units.sum())
            assert row["correct"] == (answers == taught[test]).sum()
            if not shuffle:
                response = empty.frame(
                    "FROM predictions WHERE fold = $fold ORDER BY stimulus_id", fold=fold
                )["response"]
                assert response.to_list() == answers[np.argsort(test)].tolist()


def noise(wh: Warehouse, seed: int, units: int = 2000) -> None:
    people = [f"p{i:02}" for i in range(12)]
    stored(wh, np.random.default_rng(seed).normal(size=(72, units)), people)


@pytest.mark.slow
def test_noise_is_decoded_at_chance_and_circular_selection_shows_what_it_does(
    tmp_path: Path,
) -> None:
    inside, p = 0, []
    for seed in range(8):
        wh = Warehouse.create(tmp_path / f"{seed}")
        noise(wh, seed)
        found = decode(wh, PLACE, Options(folds=6, shuffles=40)).found
        assert found.shuffled_low is not None
        assert found.shuffled_high is not None
        inside += found.shuffled_low <= found.accuracy <= found.shuffled_high
        p.append(found.p)
        mixed = confuse(wh, PLACE, ConfuseOptions(folds=6, resamples=10)).found
        assert mixed.accuracy == found.accuracy  # the same folds and units
    assert inside >= 6  # of .95; 100 seeds at full size: `python -m benchmarks calibration`
    assert stats.kstest(p, "uniform").pvalue > 0.01
    select(wh, PLACE, SelectOptions(permutations=0))
    decoded = decode(wh, PLACE, Options(folds=6, shuffles=40, selection="circular"))
    assert decoded.found.accuracy > 0.6
    assert decoded.found.p == pytest.approx(1 / 41)
    assert any("Circular" in sentence for sentence in decoded.found.said())
    shown = wh.frame("SELECT DISTINCT selection FROM decoding ORDER BY selection")
    assert shown["selection"].to_list() == ["circular", "nested"]
    seen = wh.frame("SELECT selection, accuracy FROM classification WHERE analysis = 'decode'")
    assert dict(seen.iter_rows()) == {"nested": found.accuracy, "circular": decoded.found.accuracy}


def test_a_fold_without_a_unit_answers_the_majority_and_is_counted(empty: Warehouse) -> None:
    noise(empty, 0, 50)
    found = decode(empty, PLACE, Options(folds=4, shuffles=2, alpha=1e-9)).found
    assert found.without_units == found.classifiers == 4
    assert found.units_high == 0
    assert found.accuracy == found.majority == pytest.approx(1 / 6)
    assert list(found.said())[-1].startswith("No unit was selected for 4 of 4 classifiers")
    rows = empty.frame("FROM decoding")
    assert (rows["n_units"] == 0).all()
    assert (rows["accuracy"] == rows["majority"]).all()
    assert set(empty.frame("FROM predictions")["response"]) == {"anger"}


def test_another_set_is_classified_with_units_of_the_training_set(empty: Warehouse) -> None:
    rng = np.random.default_rng(2)
    signal = np.tile(np.repeat(np.eye(6), 5, axis=1), (8, 1)) * 2
    stored(empty, np.hstack([signal, np.zeros((48, 70))]) + rng.normal(size=(48, 100)), PEOPLE)
    others = [f"q{i}" for i in range(8)]
    test = np.hstack([signal, np.zeros((48, 70))]) + rng.normal(size=(48, 100))
    stored(empty, test, others, "set2")
    found = confuse(empty, PLACE, ConfuseOptions(test="set2", resamples=50)).found
    chosen = select(empty, PLACE, SelectOptions(permutations=0))
    assert found.units_low == found.units_high == chosen.selective
    assert found.selection == "nested"
    assert found.accuracy > 0.9
    same = confuse(empty, PLACE, ConfuseOptions(test="set2", resamples=50, selection="circular"))
    assert same.found.accuracy == found.accuracy  # no image of the other set selected them
    random = confuse(empty, PLACE, ConfuseOptions(test="set2", units="random", draws=7))
    assert random.found.draws == random.found.classifiers == 7
    assert random.found.units_low == chosen.selective
    assert random.found.draws_low is not None
    assert random.found.draws_low <= random.found.accuracy < found.accuracy


def test_random_units_are_drawn_anew_in_each_fold_as_many_as_are_selective(
    empty: Warehouse,
) -> None:
    noise(empty, 4)
    selective = decode(empty, PLACE, Options(folds=3, shuffles=0))
    random = decode(empty, PLACE, Options(folds=3, shuffles=4, units="random", draws=3))
    counts = [
        empty.frame("FROM decoding WHERE run_id = $run AND shuffle = 0", run=found.run_id)
        for found in (selective, random)
    ]
    wanted = dict(counts[0].select("fold", "n_units").iter_rows())
    assert counts[1].height == 9
    assert all(wanted[fold] == n for fold, n in counts[1].select("fold", "n_units").iter_rows())
    assert sorted(set(counts[1]["draw"])) == [0, 1, 2]
    means = counts[1].group_by("draw").agg(pl.col("correct").sum() / pl.col("n_test").sum())
    assert random.found.accuracy == pytest.approx(means["correct"].mean())
    shuffled = empty.frame(
        "SELECT DISTINCT shuffle, draw FROM decoding WHERE units = 'random' AND shuffle > 0"
    )
    assert sorted(shuffled.rows()) == [(1, 0), (2, 1), (3, 2), (4, 0)]


def test_neither_memory_nor_cores_change_a_number(
    empty: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise(empty, 5, 300)
    rng = np.random.default_rng(5)
    images = spaces.Images((PLACE,), (np.arange(72),))
    some = [as_bits(rng.choice(300, 40, replace=False), 300) for _ in range(9)]
    asked = [Space(units, np.arange(50), np.arange(50, 72)) for units in some]

    def products() -> list[bytes]:
        found = [p for _, part in spaces.compare_in(empty, images, asked) for p in part]
        return [array.tobytes() for p in found for array in (p.images, p.others)]

    expected = products()
    monkeypatch.setattr(spaces, "PRODUCT_BYTES", 1)
    assert products() == expected
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert products() == expected
    values = empty.matrix(*PLACE, units=as_ids(some[0]).tolist()).values.astype(np.float64)
    centred = values - values.mean(axis=0)
    (_, (first, *_)), *_ = spaces.compare_in(empty, images, asked)
    assert first.images == pytest.approx(centred[:50] @ centred[:50].T)
    assert first.others == pytest.approx(centred[50:] @ centred[:50].T)


def test_what_selection_means_is_recorded_and_sets_runs_apart(empty: Warehouse) -> None:
    noise(empty, 6)
    select(empty, PLACE, SelectOptions(permutations=0))
    chosen = {
        "nested": Options(folds=3, shuffles=0),
        "circular": Options(folds=3, shuffles=0, selection="circular"),
        "none": Options(folds=3, shuffles=0, units="all"),
    }
    for options in chosen.values():
        decode(empty, PLACE, options)
    runs = empty.frame("SELECT parameters ->> 'selection' AS s FROM runs WHERE kind = 'decode'")
    assert sorted(runs["s"]) == sorted(chosen)
    for table in ("decoding", "predictions", "classification"):
        seen = empty.frame(f"SELECT DISTINCT selection FROM {table}")
        assert sorted(seen["selection"]) == sorted(chosen)


def test_a_set_without_a_complete_design_is_refused_unless_units_are_given(
    empty: Warehouse,
) -> None:
    rows = prototype_rows(PEOPLE)[:-1]
    register_rows(empty, "set1", rows)
    add_network(empty, "net", 20)
    plant(empty, "net", "set1", np.random.default_rng(0).normal(size=(47, 20)))
    with pytest.raises(BadInput, match="one image per expression and identity"):
        decode(empty, PLACE, Options())
    assert decode(empty, PLACE, Options(units="all", shuffles=0)).found.images == 47

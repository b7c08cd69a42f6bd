"""Decoding: against scikit-learn's own pipeline, identities apart, and noise at chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from support.planted import add_network, plant, prototype_rows, register_rows

from fexp_store import BadInput, NotFound, Warehouse
from fexp_store.analyses.expressions.classifier import Classifier, Similarities, similarities
from fexp_store.analyses.expressions.cross_validation import cross_validate
from fexp_store.analyses.expressions.decode import Options, decode
from fexp_store.analyses.expressions.spaces import products_of
from fexp_store.analyses.selectivity.select import Options as SelectOptions
from fexp_store.analyses.selectivity.select import select
from fexp_store.expressions import BASIC
from fexp_store.warehouse.place import Place

PLACE = Place("dlib", "conv4_3:pre", "set1")
SVCS = {
    "linear": SVC(kernel="poly", degree=1, coef0=0, C=2.0, gamma="scale"),
    "rbf": SVC(kernel="rbf", C=2.0, gamma="scale"),
}


def compared(train: NDArray[Any], test: NDArray[Any], settings: Classifier) -> Similarities:
    """The kernels of images in memory."""
    values = np.vstack([train, test])
    rows = np.arange(len(values))
    return similarities(products_of(values), rows[: len(train)], rows[len(train) :], settings)


@pytest.fixture
def selected(own_copy: Warehouse) -> Warehouse:
    """Activations of 8 identities x 6 expressions, with selective units."""
    select(own_copy, PLACE, SelectOptions(alpha=0.05))
    return own_copy


@pytest.mark.slow
@pytest.mark.parametrize("kernel", SVCS)
def test_every_prediction_is_that_of_a_scikit_learn_pipeline(
    selected: Warehouse, kernel: str
) -> None:
    decode(
        selected,
        PLACE,
        Options(
            selection="circular", kernel=kernel, C=2.0, components=9, folds=4, seed=5, shuffles=2
        ),
    )
    stored = selected.frame("FROM predictions ORDER BY stimulus_id")
    rule = "WHERE layer = 'conv4_3:pre' AND selective ORDER BY unit_id"
    units = selected.frame(f"SELECT unit_id FROM selectivity {rule}")["unit_id"].to_list()
    matrix = selected.matrix("dlib", "conv4_3:pre", "set1", units=units)
    values = matrix.values.astype(np.float64)
    labels, people = (matrix.stimuli[x].to_numpy() for x in ("expression", "identity"))
    expected = np.empty(len(labels), dtype=object)
    for train, test in GroupKFold(4, shuffle=True, random_state=5).split(values, groups=people):
        pipeline = make_pipeline(PCA(9), SVCS[kernel]).fit(values[train], labels[train])
        expected[test] = pipeline.predict(values[test])
    assert stored["response"].to_list() == expected.tolist()
    assert stored["depicted"].to_list() == labels.tolist()


def test_standardised_answers_are_those_of_a_pipeline_that_scales() -> None:
    rng = np.random.default_rng(3)
    scales = np.append(rng.uniform(0.01, 100, 19), 0)  # one unit is constant
    values = (rng.normal(size=(60, 20)) + np.repeat(np.eye(6, 20) * 2, 10, axis=0)) * scales
    labels = np.repeat(np.array(BASIC), 10)
    train = np.arange(60) % 3 > 0
    steps = (StandardScaler(), PCA(5), SVC(kernel="poly", degree=1, coef0=0, gamma="scale"))
    expected = make_pipeline(*steps).fit(values[train], labels[train]).predict(values[~train])
    people = np.where(train, "taught", "shown")
    answers = {
        standardise: cross_validate(
            values,
            labels,
            people,
            classifier=Classifier(components=5, standardise=standardise),
            folds=2,
            seed=0,
        ).answers[0, ~train]
        for standardise in (True, False)
    }
    assert answers[True].tolist() == expected.tolist()
    assert answers[True].tolist() != answers[False].tolist()


def test_no_identity_is_in_the_training_and_the_test_images_of_a_fold(selected: Warehouse) -> None:
    decode(selected, PLACE, Options(folds=3, shuffles=1))
    both = selected.frame(
        "WITH folds AS (SELECT p.fold, s.identity FROM predictions AS p INNER JOIN stimuli AS s "
        "ON p.stimulus_set = s.stimulus_set AND p.stimulus_id = s.stimulus_id) "
        "SELECT test.fold, test.identity FROM folds AS test INNER JOIN folds AS train "
        "ON test.identity = train.identity AND test.fold <> train.fold"
    )
    assert both.is_empty()
    folds = selected.frame("FROM decoding WHERE shuffle = 0 ORDER BY fold")
    assert folds["fold"].to_list() == [0, 1, 2]
    assert (folds["n_train"] + folds["n_test"] == 48).all()
    assert folds["n_test"].sum() == 48
    right = selected.frame(
        "SELECT count_if(depicted = response)::INTEGER AS n FROM predictions "
        "GROUP BY fold ORDER BY fold"
    )
    assert right["n"].to_list() == folds["correct"].to_list()


def test_principal_components_never_see_test_images() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(30, 40)), rng.normal(size=(6, 40))
    one = compared(train, test, Classifier(components=5))
    more = np.vstack([test, rng.normal(0, 1000, (6, 40))])
    other = compared(train, more, Classifier(components=5))
    assert one.train == pytest.approx(other.train)
    assert one.test == pytest.approx(other.test[:6])


@pytest.mark.parametrize("kernel", SVCS)
def test_the_unit_of_activation_changes_nothing(kernel: str) -> None:
    rng = np.random.default_rng(1)
    train, test = rng.normal(size=(30, 40)), rng.normal(size=(6, 40))
    one = compared(train, test, Classifier(components=5, kernel=kernel))
    other = compared(train * 1e4, test * 1e4, Classifier(components=5, kernel=kernel))
    assert one.test == pytest.approx(other.test)


def noise_within_chance(seed: int, shuffles: int = 100) -> bool:
    """Whether decoding noise gives an accuracy within the 95 % interval of shuffled labels."""
    rng = np.random.default_rng(seed)
    people = np.repeat([f"p{i:02}" for i in range(12)], 6)
    labels = np.tile(np.array(BASIC), 12)
    found = cross_validate(
        rng.normal(size=(72, 60)),
        labels,
        people,
        classifier=Classifier(components=20),
        folds=6,
        seed=seed,
        shuffles=shuffles,
    )
    accuracy, *control = found.accuracies().mean(axis=1)
    low, high = np.quantile(control, (0.025, 0.975))
    return bool(low <= accuracy <= high)


@pytest.mark.slow
def test_noise_is_decoded_at_chance() -> None:
    # 100 seeds: `python -m benchmarks analyses`, within in 95 ± 4. 15 of 20 has p > .999.
    assert sum(noise_within_chance(seed, 40) for seed in range(20)) >= 15


def test_planted_expressions_are_decoded_and_random_units_are_not(empty: Warehouse) -> None:
    people = [f"p{i}" for i in range(10)]
    register_rows(empty, "set1", prototype_rows(people))
    add_network(empty, "net", 600)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 600))
    values[:, :30] += 2 * np.tile(np.repeat(np.eye(6), 5, axis=1), (10, 1))
    plant(empty, "net", "set1", values)
    place = Place("net", "planted", "set1")
    found = select(empty, place, SelectOptions())
    decoded = decode(empty, place, Options(folds=5, shuffles=40, selection="circular"))
    good = decoded.found
    assert good.units_low == good.units_high == found.selective
    assert good.accuracy > 0.9
    assert good.p == pytest.approx(1 / 41)
    assert good.chance == pytest.approx(1 / 6)
    assert good.shuffled == pytest.approx(1 / 6, abs=0.03)
    drawn = decode(empty, place, Options(units="random", folds=5, shuffles=0, selection="circular"))
    control = drawn.found
    assert control.units_low == control.units_high == found.selective
    assert control.accuracy < good.accuracy
    assert control.shuffled is None
    assert control.p is None
    shown = empty.frame("SELECT DISTINCT units FROM decoding ORDER BY units")
    assert shown["units"].to_list() == ["random", "selective"]
    runs = empty.frame("SELECT DISTINCT run_id FROM predictions")
    assert set(runs["run_id"]) == {decoded.run_id, drawn.run_id}


def test_units_can_come_from_a_file(selected: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "units.txt"
    file.write_text("7\n3\n2000\n")
    found = decode(selected, PLACE, Options(units=str(file), folds=2, shuffles=0))
    assert found.found.units_low == found.found.units_high == 3
    file.write_text("8192\n")
    with pytest.raises(BadInput, match="unit_ids from 0 to 8191"):
        decode(selected, PLACE, Options(units=str(file)))
    with pytest.raises(NotFound, match="neither selective, all or random nor a file"):
        decode(selected, PLACE, Options(units="some"))


def test_what_cannot_be_decoded_is_refused(selected: Warehouse) -> None:
    with pytest.raises(NotFound, match="fexp select --network dlib --layer embedding"):
        decode(selected, PLACE._replace(layer="embedding"), Options(selection="circular"))
    with pytest.raises(BadInput, match="kernel must be linear or rbf, not 'cubic'"):
        decode(selected, PLACE, Options(kernel="cubic"))
    with pytest.raises(
        BadInput, match=r"C must be a number above 0 and at most 1000000\.0, not 0\.0"
    ):
        decode(selected, PLACE, Options(C=0.0))
    with pytest.raises(BadInput, match="respond alike"):
        compared(np.ones((4, 3)), np.ones((2, 3)), Classifier())

"""Categorical perception: fits against curve_fit, planted steps and lines, and odd curves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit
from scipy.special import expit
from statsmodels.stats.multitest import multipletests
from support.planted import add_network, morph_rows, plant, prototype_rows, register_rows

from fexp_store import BadInput, Warehouse
from fexp_store.analyses import statistics
from fexp_store.analyses.morphs.categorize import Options, categorize
from fexp_store.analyses.morphs.curves import LOWER, MODELS, UPPER, curve, fit
from fexp_store.analyses.morphs.fits import fit_tests
from fexp_store.expressions import BASIC
from fexp_store.warehouse.place import Place

STEPS = Place("steps", "planted", "faces")
LEVELS = np.linspace(0, 1, 21)
TESTS = {"t": stats.ttest_rel, "wilcoxon": stats.wilcoxon, "mann-whitney": stats.mannwhitneyu}
CONTINUA = (
    ("happiness", "anger"),
    ("happiness", "fear"),
    ("anger", "disgust"),
    ("happiness", "sadness"),
    ("anger", "fear"),
    ("disgust", "fear"),
    ("disgust", "sadness"),
)


def logistic(x: np.ndarray, lower: float, upper: float, k: float, x0: float) -> np.ndarray:
    return lower + (upper - lower) / (1 + np.exp(-k * (x - x0)))


@pytest.mark.parametrize("seed", range(8))
def test_fits_are_those_of_curve_fit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = logistic(LEVELS, 0.1, 0.85, rng.uniform(6, 25), rng.uniform(0.3, 0.7))
    y = np.clip(truth + rng.normal(0, 0.03, 21), 0, 1)
    start = (0.1, 0.9, 12, 0.5)
    by_hand, _ = curve_fit(logistic, LEVELS, y, p0=start, bounds=(LOWER, UPPER), ftol=1e-12)
    assert fit("logistic", LEVELS, y).parameters == pytest.approx(by_hand, rel=1e-3, abs=1e-4)
    by_hand, _ = curve_fit(lambda x, a, b: a + b * x, LEVELS, y)
    assert fit("linear", LEVELS, y).parameters == pytest.approx(by_hand, rel=1e-6)
    by_hand, _ = curve_fit(lambda x, a, b, c: a + b * x + c * x**2, LEVELS, y)
    found = fit("poly2", LEVELS, y)
    assert found.parameters == pytest.approx(by_hand, rel=1e-5, abs=1e-6)
    residual = y - curve("poly2", LEVELS, found.parameters)
    assert found.r2 == pytest.approx(1 - residual.var() / y.var(), abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_boundary_and_slope_are_those_of_the_curve(model: str) -> None:
    y = logistic(LEVELS, 0.05, 0.9, 9, 0.4)
    found = fit(model, LEVELS, y)
    assert found.boundary is not None
    assert found.slope is not None
    around = found.boundary + np.array([-1e-5, 0, 1e-5])
    low, middle, high = curve(model, around, found.parameters)
    assert middle == pytest.approx(0.5, abs=1e-9)
    assert found.slope == pytest.approx((high - low) / 2e-5, rel=1e-5)


def test_a_line_has_its_boundary_in_every_model() -> None:
    for model in MODELS:
        assert fit(model, LEVELS, LEVELS).boundary == pytest.approx(0.5, abs=1e-6)


ODD = {
    "flat": (np.full(21, 0.5), LEVELS),
    "never": (np.zeros(21), LEVELS),
    "always": (np.ones(21), LEVELS),
    "below one half": (0.1 + 0.2 * LEVELS, LEVELS),
    "step": ((LEVELS > 0.62).astype(float), LEVELS),
    "falling": ((LEVELS < 0.3).astype(float), LEVELS),
    "three levels": (np.array([0, 0.4, 1]), np.array([0, 0.5, 1])),
    "two levels": (np.array([0, 1.0]), np.array([0, 1.0])),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_curves_are_fitted_without_a_warning(name: str) -> None:
    y, levels = ODD[name]
    for model in MODELS:
        found = fit(model, levels, y)
        flat = np.ptp(y) == 0
        assert (found.r2 is None) == (flat or not found.parameters)
        if name in ("flat", "never", "always", "below one half"):
            assert found.boundary is None
    if name == "step":
        assert fit("logistic", levels, y).boundary == pytest.approx(0.625, abs=0.02)
        assert fit("logistic", levels, y).r2 == pytest.approx(1)


@pytest.mark.parametrize("seed", range(12))
def test_a_curve_the_other_way_round_has_its_boundary_at_1_minus_that(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = np.linspace(0, 1, (6, 11, 21)[seed % 3])
    steep = (3, 10, 40, 500)[seed % 4]
    p = expit(steep * (levels[:, None] - rng.uniform(0.2, 0.8)))
    y = (rng.random((len(levels), 8)) < p).mean(axis=1)
    for model in MODELS:
        one, other = fit(model, levels, y), fit(model, levels, 1 - y[::-1])
        if one.boundary is None:
            assert other.boundary is None
        else:
            assert other.boundary == pytest.approx(1 - one.boundary, abs=0.005)


def plant_morphs(wh: Warehouse, network: str, steep: float, at: float, people: int = 20) -> None:
    """Responses that pass from one expression's pattern to the other's as a logistic of level.

    `steep` 0 makes them pass linearly. Each person's level of equal distance is drawn around
    `at`, so that the proportion of people is a step or, with a wide spread, a line.
    """
    rng = np.random.default_rng(0)
    patterns = np.kron(np.eye(6), np.ones(5)) * 6
    # A uniform spread of people's own boundaries makes the proportion a line.
    spread = 0.03 if steep else 0.5
    own = at + spread * (np.arange(people) + 0.5 - people / 2) / people * 2
    rows = []
    for a, b in CONTINUA:
        ends = patterns[[BASIC.index(a), BASIC.index(b)]]
        for boundary in own:
            share = expit((steep or 60) * (LEVELS - boundary))[:, None]
            rows.append((1 - share) * ends[0] + share * ends[1])
    values = np.concatenate(rows)
    plant(wh, network, "morphs", values + rng.normal(0, 0.01, values.shape))


@pytest.fixture
def faces(empty: Warehouse) -> Warehouse:
    """Prototypes of 20 people, and morphs of the same people without activations."""
    people = [f"p{i:02}" for i in range(20)]
    register_rows(empty, "faces", prototype_rows(people))
    register_rows(empty, "morphs", morph_rows(people, CONTINUA, LEVELS))
    patterns = np.kron(np.eye(6), np.ones(5)) * 6
    noise = np.random.default_rng(1).normal(size=(120, 30))
    for name in ("steps", "lines"):
        add_network(empty, name, 30)
        plant(empty, name, "faces", np.tile(patterns, (20, 1)) + noise)
    return empty


@pytest.mark.parametrize("two_way", [False, True])
def test_planted_steps_and_lines_are_told_apart(faces: Warehouse, two_way: bool) -> None:
    plant_morphs(faces, "steps", 60, 0.6)
    plant_morphs(faces, "lines", 0, 0.5)
    found = {
        network: categorize(
            faces,
            Place(network, "planted", "faces"),
            Options(
                morphs="morphs",
                units="all",
                two_way=two_way,
                folds=4,
                resamples=100,
                simulations=100,
            ),
        )
        for network in ("steps", "lines")
    }
    steps = found["steps"].fits.filter(model="logistic")
    assert steps["boundary"].to_numpy() == pytest.approx(np.full(7, 0.6), abs=0.02)
    assert ((steps["boundary_low"] <= 0.6) & (steps["boundary_high"] >= 0.6)).all()
    assert steps["peak_at_boundary"].all()
    assert (steps["peak_low"] <= 0.6 + 1e-9).all()
    assert (steps["peak_high"] >= 0.6 - 1e-9).all()
    advantage = {
        network: result.tests.filter(model_a="logistic", model_b="linear", test="t").row(
            0, named=True
        )
        for network, result in found.items()
    }
    assert advantage["steps"]["difference"] > 0.1
    assert advantage["steps"]["p_holm"] < 0.001
    assert advantage["lines"]["difference"] < 0.01
    curves = faces.frame("FROM identification WHERE network = 'lines' ORDER BY ALL")
    assert curves.height == 7 * 21
    assert curves["proportion"].to_numpy() == pytest.approx(
        curves["morph_level"].to_numpy(), abs=0.06
    )
    assert (curves["n_identities"] == 20).all()
    assert faces.frame("FROM categorical_fit").height == 2 * 7 * 3
    assert faces.frame("FROM discrimination").height == 2 * 7 * 20
    assert faces.frame("FROM fit_tests").height == 2 * 3 * 3


def test_discrimination_is_the_distance_between_neighbours(faces: Warehouse) -> None:
    plant_morphs(faces, "steps", 60, 0.6)
    categorize(faces, STEPS, Options(morphs="morphs", units="all", resamples=10, simulations=10))
    stored = faces.frame(
        "FROM discrimination WHERE morph_from = 'anger' AND morph_to = 'fear' ORDER BY level_low"
    )
    matrix = faces.matrix("steps", "planted", "morphs")
    part = (matrix.stimuli["morph_from"] == "anger") & (matrix.stimuli["morph_to"] == "fear")
    values = matrix.values[part.to_numpy()].reshape(20, 21, 30)
    by_hand = np.linalg.norm(np.diff(values, axis=1), axis=2).mean(axis=0) / 0.05
    assert stored["distance"].to_numpy() == pytest.approx(by_hand, rel=1e-5)


def test_sets_without_morphs_or_with_gaps_are_refused(faces: Warehouse) -> None:
    with pytest.raises(BadInput, match="faces has no morphs"):
        categorize(faces, STEPS, Options(morphs="faces", units="all"))
    rows = morph_rows(["p00", "p01"], CONTINUA[:1], (0, 0.5, 1))[:-1]
    register_rows(faces, "gaps", rows)
    plant(faces, "steps", "gaps", np.zeros((5, 30)))
    with pytest.raises(BadInput, match="happiness-anger has not every level for every identity"):
        categorize(faces, STEPS, Options(morphs="gaps", units="all"))


def test_tests_between_fits_are_those_of_scipy_and_statsmodels() -> None:
    rng = np.random.default_rng(3)
    r2 = {model: rng.uniform(0.8, 1, 7).tolist() for model in MODELS}
    found = fit_tests(r2)
    for name, test in TESTS.items():
        rows = found.filter(test=name)
        p = [test(r2[a], r2[b])[1] for a, b in rows.select("model_a", "model_b").iter_rows()]
        assert rows["p"].to_numpy() == pytest.approx(p)
        assert rows["p_holm"].to_numpy() == pytest.approx(multipletests(p, method="holm")[1])
        corrected = multipletests(p, method="bonferroni")[1]
        assert rows["p_bonferroni"].to_numpy() == pytest.approx(corrected)


def test_unpaired_tests_of_the_published_r2_give_the_published_stars(empty: Warehouse) -> None:
    """Figure 3D: one star between linear and poly2, two between each of them and logistic."""
    published = empty.frame(
        "FROM published WHERE quantity = 'categorical_fit_r2' AND network = 'vgg_face'"
        " ORDER BY continuum"
    )
    r2 = {model: published.filter(model=model)["value"].to_list() for model in MODELS}
    found = fit_tests(r2).filter(test="mann-whitney")
    p = {(row["model_a"], row["model_b"]): row["p_bonferroni"] for row in found.to_dicts()}
    assert 0.01 < p["poly2", "linear"] < 0.05
    assert 0.001 < p["logistic", "linear"] < 0.01
    assert 0.001 < p["logistic", "poly2"] < 0.01


def test_tests_of_what_is_all_alike_have_no_p() -> None:
    same = [0.5, 0.5, 0.5]
    tests = (statistics.paired_t, statistics.wilcoxon)
    assert [test(same, same) for test in tests] == [(None, None)] * 2
    assert statistics.single_against_group(1.0, same) == (None, None)
    assert statistics.holm([None, 0.04, 0.01, 0.03]) == [None, 0.06, 0.03, 0.06]


def test_one_value_against_replicates_is_crawford_and_howell_s_test() -> None:
    t, p = statistics.single_against_group(0.9, [0.5, 0.6, 0.7])
    assert t == pytest.approx(0.3 / (0.1 * np.sqrt(4 / 3)))
    assert p == pytest.approx(2 * stats.t.sf(t, 2))

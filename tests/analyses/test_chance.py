"""How many units chance selects: permutations against a loop over them, and on pure noise."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy.stats import false_discovery_control
from support.writing import Fexp

from fexp_store import BadInput, Warehouse
from fexp_store.analyses.selectivity.anova import Design, sums_of_squares, with_tests
from fexp_store.analyses.selectivity.criterion import Criterion, f_limits, selective_units
from fexp_store.analyses.selectivity.null import null_counts
from fexp_store.analyses.selectivity.select import Options, chance_of, corrected_level, select
from fexp_store.expressions import BASIC
from fexp_store.warehouse.place import Place

ALPHA = 0.05
RULE = Criterion(alpha=ALPHA)


def design(identities: int) -> Design:
    """Stimuli in a shuffled order, as a manifest may have them."""
    order = np.random.default_rng(1).permutation(identities * len(BASIC))
    return Design(order.reshape(identities, len(BASIC)))


def selected(
    values: np.ndarray,
    cells: Design,
    factor: str = "expression",
    rule: Criterion = RULE,
) -> int:
    table = with_tests(pl.DataFrame(sums_of_squares(values, cells)), cells)
    return int(selective_units(table, rule, cells.df, factor, ALPHA).sum())


@pytest.mark.parametrize("absence", ["p", "size", "equivalence"])
@pytest.mark.parametrize("factor", ["expression", "identity"])
def test_counts_are_those_of_an_analysis_of_shuffled_activations(factor: str, absence: str) -> None:
    rule = Criterion(alpha=ALPHA, absence=absence, bound=0.4)
    cells = design(5)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 400)).astype(np.float32)
    values[cells.cells[:, 2], :40] += 2
    values[cells.cells[3], 40:80] += 2
    values[:, 390:] = 7
    values[cells.cells.ravel(), 380:390] = np.tile(np.arange(6), 5)[:, None]  # without error
    blocks = (values[:, i : i + 150] for i in range(0, 400, 150))
    limits = f_limits(rule, cells.df, factor, ALPHA)
    counts = null_counts(blocks, cells, factor, limits, 300, seed=4)
    assert len(set(counts)) > 3
    # The same permutations, applied to the activations of whole matrices one by one.
    shape = cells.cells.shape if factor == "expression" else cells.cells.shape[::-1]
    labels = np.broadcast_to(np.arange(shape[1]), (300, *shape))
    orders = np.random.default_rng(4).permuted(labels.astype(np.int16), axis=2)
    for order, count in list(zip(orders, counts, strict=True))[:40]:
        grid = cells.cells if factor == "expression" else cells.cells.T
        shuffled = np.empty_like(grid)
        np.put_along_axis(shuffled, order.astype(int), grid, axis=1)
        moved = Design(shuffled if factor == "expression" else shuffled.T)
        assert selected(values, moved, factor, rule) == count


@pytest.mark.slow
def test_on_pure_noise_the_count_lies_in_its_interval_in_95_of_100_seeds() -> None:
    cells = design(8)
    inside = 0
    for seed in range(100):
        values = np.random.default_rng(seed).normal(size=(48, 3000)).astype(np.float32)
        limits = f_limits(RULE, cells.df, "expression", ALPHA)
        counts = null_counts([values], cells, "expression", limits, 200, seed=1000 + seed)
        found = selected(values, cells)
        chance = chance_of(counts, found)
        inside += chance["chance_low"] <= found <= chance["chance_high"]
        assert chance["chance_mean"] == pytest.approx(3000 * ALPHA * (1 - ALPHA), rel=0.1)
    assert 91 <= inside <= 99


@pytest.mark.parametrize("correction", ["none", "fdr_bh", "bonferroni"])
def test_corrections_select_what_adjusted_p_values_do(correction: str) -> None:
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(size=900), rng.uniform(0, 1e-3, size=100)])
    adjusted = {
        "none": p,
        "fdr_bh": false_discovery_control(p),
        "bonferroni": np.minimum(p * len(p), 1),
    }[correction]
    with_nulls = pl.concat([pl.Series(p), pl.Series([None] * 50, dtype=pl.Float64)])
    level = corrected_level(with_nulls, ALPHA, correction)
    assert ((p < level) == (adjusted < ALPHA)).all()
    assert corrected_level(pl.Series([0.9, 0.8]), ALPHA, correction) <= ALPHA


@pytest.mark.slow
def test_options_are_recorded_with_what_chance_does(own_copy: Warehouse, fexp: Fexp) -> None:
    command = ("select", "-n", "dlib", "-l", "conv4_3", "-s", "set1", "-f", "json")
    options = ("--permutations", "99", "--correction", "bonferroni", "--seed", "5")
    done = fexp("-w", own_copy.location, *command, *options)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    (stored,) = own_copy.frame("FROM selection").to_dicts()
    shared = set(row) - {"expected_by_alpha"}
    assert {k: row[k] for k in shared} == {k: stored[k] for k in shared}
    chance = ["chance_mean", "chance_low", "chance_high", "chance_p"]
    assert list(row)[2:] == ["units", "varying", "selective", *chance, "expected_by_alpha"]
    assert stored["threshold"] == pytest.approx(0.01 / row["varying"])
    assert (stored["permutations"], stored["seed"]) == (99, 5)
    assert stored["chance_p"] == pytest.approx(0.01)
    (parameters,) = own_copy.frame("SELECT parameters FROM runs WHERE kind = 'select'").row(0)
    assert json.loads(parameters)["correction"] == "bonferroni"


def test_identity_selective_units_have_a_view_of_their_own(own_copy: Warehouse) -> None:
    place = Place("dlib", "conv4_3", "set1")
    by_expression = select(own_copy, place, Options(alpha=0.05))
    by_identity = select(own_copy, place, Options(alpha=0.05, factor="identity"))
    units = own_copy.frame("FROM identity_selectivity ORDER BY unit_id")
    rule = (units["p_identity"] < 0.05) & (units["p_expression"] > 0.05)
    assert (rule == units["selective"]).all()
    assert rule.sum() == by_identity.selective
    shown = own_copy.frame("SELECT count_if(selective) FROM selectivity").item()
    assert shown == by_expression.selective
    with pytest.raises(BadInput, match="factor must be expression or identity, not 'gaze'"):
        select(own_copy, place, Options(factor="gaze"))
    with pytest.raises(BadInput, match="correction must be bonferroni, fdr_bh or none, not 'holm'"):
        select(own_copy, place, Options(correction="holm"))
    with pytest.raises(
        BadInput, match="permutations must be a whole number from 0 to 100000, not -1"
    ):
        select(own_copy, place, Options(permutations=-1))

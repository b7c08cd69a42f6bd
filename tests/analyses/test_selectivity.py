"""Selectivity: the analysis of variance in SQL against statsmodels, and what is refused."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from support.planted import add_network, plant, prototype_rows, register_rows
from support.writing import state, write_fragment, write_photographs

from fexp_store import BadInput, NotFound, Warehouse
from fexp_store.analyses.selectivity.anova import anova
from fexp_store.analyses.selectivity.select import Options, select
from fexp_store.expressions import BASIC, NEUTRAL
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.records import Options as NetworkOptions
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.activations.commit import commit
from fexp_store.warehouse.place import Place

UNTRAINED = NetworkOptions(architecture="dlib_face", untrained=True)
EMBEDDING = Place("dlib", "embedding", "set1")


def by_statsmodels(values: NDArray[np.float32], stimuli: pl.DataFrame) -> dict[str, float]:
    frame = pd.DataFrame(
        {
            "x": values.astype(np.float64),
            "expression": stimuli["expression"].to_list(),
            "identity": stimuli["identity"].to_list(),
        }
    )
    table = anova_lm(ols("x ~ C(expression) + C(identity)", frame).fit(), typ=2)
    found = {"ss_error": table.loc["Residual", "sum_sq"]}
    for factor in ("expression", "identity"):
        row = table.loc[f"C({factor})"]
        found |= {
            f"ss_{factor}": row["sum_sq"],
            f"f_{factor}": row["F"],
            f"p_{factor}": row["PR(>F)"],
        }
    return found


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["conv4_3:pre"])
def test_anova_equals_statsmodels(ingested: Warehouse, layer: str) -> None:
    table = anova(ingested, Place("dlib", layer, "set1"))
    matrix = ingested.matrix("dlib", layer, "set1")
    varying = np.flatnonzero(np.ptp(matrix.values, axis=0) > 0)
    for unit in np.random.default_rng(0).choice(varying, 1000, replace=False):
        row = table.row(int(unit), named=True)
        assert row["unit_id"] == unit
        expected = by_statsmodels(matrix.values[:, unit], matrix.stimuli)
        assert {k: row[k] for k in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("layer", ["conv4_3", "conv4_3:pre", "embedding"])
def test_the_macro_gives_the_same_numbers_whole_and_by_ranges(
    ingested: Warehouse, layer: str
) -> None:
    table = anova(ingested, Place("dlib", layer, "set1"))
    macro = f"FROM expression_anova('dlib', '{layer}', 'set1'"
    whole = ingested.frame(f"{macro})")
    assert_frame_equal(whole, table.select(whole.columns), rel_tol=1e-9, abs_tol=1e-15)
    parts = [f"{macro}, last_unit := 99)", f"{macro}, first_unit := 100)"]
    assert_frame_equal(pl.concat(map(ingested.frame, parts)), whole, rel_tol=1e-12)


@pytest.mark.parametrize("offset", [0, 1000])
def test_sums_of_squares_do_not_cancel_far_from_zero(
    empty: Warehouse, tmp_path: Path, offset: float
) -> None:
    add_manifest(empty, "set1", write_photographs(tmp_path / "photographs", 5))
    registry.add(empty, "dlib", UNTRAINED)
    noise = np.random.default_rng(0).normal(offset, 1e-2, (30, 4)).astype(np.float32)
    noise[:, 3] = 0.1
    parts = [
        write_fragment(empty, noise[:12], 0, EMBEDDING),
        write_fragment(empty, noise[12:], 12, EMBEDDING),
    ]
    commit(empty.storage, parts)
    table = empty.frame("FROM expression_anova('dlib', 'embedding', 'set1')")
    exact = by_fractions(noise[:, 0].astype(float).tolist(), 6)
    for found in (table, anova(empty, EMBEDDING)):
        row = found.row(0, named=True)
        assert {k: row[k] for k in exact} == pytest.approx(exact, rel=1e-6)
        assert found["f_expression"][3] is None
        assert found["ss_total"][3] == 0


def by_fractions(x: list[float], expressions: int) -> dict[str, float]:
    """Sums of squares in exact arithmetic; stimuli are in order of identity, then expression."""
    rows = [[Fraction(v) for v in x[i : i + expressions]] for i in range(0, len(x), expressions)]
    mean = sum(map(sum, rows)) / len(x)
    e = sum((sum(c) / len(rows) - mean) ** 2 for c in zip(*rows, strict=True)) * len(rows)
    i = sum((sum(r) / expressions - mean) ** 2 for r in rows) * expressions
    total = sum((v - mean) ** 2 for r in rows for v in r)
    return {
        "ss_expression": float(e),
        "ss_identity": float(i),
        "ss_error": float(total - e - i),
        "ss_total": float(total),
    }


def test_units_without_variance_have_no_f_and_are_never_selective(own_copy: Warehouse) -> None:
    matrix = own_copy.matrix("dlib", "conv4_3", "set1")
    constant = np.ptp(matrix.values, axis=0) == 0
    assert constant.any()
    found = select(own_copy, Place("dlib", "conv4_3", "set1"), Options(alpha=0.5))
    units = own_copy.frame("FROM selectivity ORDER BY unit_id")
    assert (units["f_expression"].is_null().to_numpy() == constant).all()
    assert not units.filter(pl.Series(constant))["selective"].any()
    assert found.varying == (~constant).sum()
    assert found.expected == pytest.approx(found.varying * 0.25)


def test_selective_is_the_study_s_rule(own_copy: Warehouse) -> None:
    found = select(own_copy, Place("dlib", "conv4_3:pre", "set1"), Options(alpha=0.05))
    units = own_copy.frame("FROM selectivity ORDER BY unit_id")
    rule = (units["p_expression"] < 0.05) & (units["p_identity"] > 0.05)
    assert (rule == units["selective"]).all()
    assert 0 < rule.sum() == found.selective < found.units == 8192
    eta = anova(own_copy, Place("dlib", "conv4_3:pre", "set1")).select(
        pl.col("ss_expression") / (pl.col("ss_expression") + pl.col("ss_error"))
    )
    np.testing.assert_allclose(units["eta_squared_expression"], eta.to_series(), rtol=1e-12)


def test_the_newest_finished_run_is_shown_and_none_is_lost(own_copy: Warehouse) -> None:
    select(own_copy, EMBEDDING, Options(alpha=0.01))
    last = select(own_copy, EMBEDDING, Options(alpha=0.2))
    shown = own_copy.frame("SELECT run_id, count_if(selective) FROM selectivity GROUP BY ALL")
    assert shown.rows() == [(last.run_id, last.selective)]
    assert own_copy.frame("SELECT count(*) FROM stored.selectivity").item() == 256


def test_units_without_error_have_p_0_of_what_they_respond_to_and_1_of_the_rest(
    empty: Warehouse,
) -> None:
    register_rows(empty, "set1", prototype_rows(["ann", "bob", "eve"]))
    expression, identity = np.tile(np.arange(6), 3), np.repeat(np.arange(3), 6)
    nothing = np.zeros(18)
    planted = np.stack(
        [expression + 0.1, identity, expression + 0.5 * identity, nothing, nothing + 7], axis=1
    )
    add_network(empty, "net", 5)
    plant(empty, "net", "set1", planted.astype(np.float32))
    place, inf = Place("net", "planted", "set1"), float("inf")
    found = select(empty, place, Options(permutations=50))
    table = anova(empty, place)
    assert table["f_expression"].to_list() == [inf, 0, inf, None, None]
    assert table["f_identity"].to_list() == [0, inf, inf, None, None]
    for factor in ("expression", "identity"):
        infinite = table[f"f_{factor}"] == inf
        assert table[f"p_{factor}"].to_list() == [
            None if x is None else float(not x) for x in infinite
        ]
        assert (table[f"eta_squared_{factor}"] == infinite.cast(pl.Float64)).drop_nulls().all()
    macro = empty.frame("FROM expression_anova('net', 'planted', 'set1')")
    assert_frame_equal(macro, table.select(macro.columns), rel_tol=1e-9)
    for absence in ("p", "size", "equivalence"):
        units = "SELECT selective FROM selectivity ORDER BY unit_id"
        select(empty, place, Options(absence=absence, permutations=0, alpha=0.2))
        assert empty.frame(units)["selective"].to_list() == [True, *[False] * 4], absence
    assert (found.varying, found.selective) == (3, 1)
    assert found.chance_high == 0
    assert found.chance_p == pytest.approx(1 / 51)


def test_seven_expressions_and_two_identities(empty: Warehouse, tmp_path: Path) -> None:
    manifest = write_photographs(tmp_path / "photographs", 2, (*BASIC, NEUTRAL))
    add_manifest(empty, "set1", manifest)
    registry.add(empty, "dlib", UNTRAINED)
    ingest(empty, "dlib", ["embedding"], "set1")
    row = anova(empty, EMBEDDING).row(5, named=True)
    assert (row["df_expression"], row["df_identity"], row["df_error"], row["n"]) == (6, 1, 6, 14)
    matrix = empty.matrix("dlib", "embedding", "set1")
    expected = by_statsmodels(matrix.values[:, 5], matrix.stimuli)
    assert {k: row[k] for k in expected} == pytest.approx(expected, rel=1e-6)


def test_missing_and_double_cells_are_named(empty: Warehouse, photographs: Path) -> None:
    lines = photographs.read_text().splitlines()
    lines[1] = lines[1].replace("anger", "fear").replace("0_fear", "0_anger")
    photographs.write_text("\n".join(lines))
    add_manifest(empty, "set1", photographs)
    registry.add(empty, "dlib", UNTRAINED)
    ingest(empty, "dlib", ["embedding"], "set1")
    before = state(empty)
    cells = "anger of p0 (0 images), fear of p0 (2 images)"
    with pytest.raises(BadInput, match=re.escape(f"{cells}.")):
        select(empty, EMBEDDING, Options())
    with pytest.raises(BadInput, match=re.escape(cells)) as refused:
        empty.query("FROM expression_anova('dlib', 'embedding', 'set1')")
    assert "\n" not in str(refused.value)
    found = empty.frame("FROM design_faults('set1')")
    assert found.rows() == [("anger", "p0", 0), ("fear", "p0", 2)]
    assert state(empty) == before


def test_a_layer_that_lacks_stimuli_is_refused(empty: Warehouse, photographs: Path) -> None:
    add_manifest(empty, "set1", photographs)
    registry.add(empty, "dlib", UNTRAINED)
    values = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    commit(empty.storage, [write_fragment(empty, values, 0, EMBEDDING)])
    with pytest.raises(BadInput, match="Only 20 of the 24 stimuli"):
        empty.query("FROM expression_anova('dlib', 'embedding', 'set1')")
    with pytest.raises(BadInput, match="20 of the 24 stimuli of set1"):
        select(empty, EMBEDDING, Options())


def test_a_factor_of_one_level_is_refused(empty: Warehouse) -> None:
    register_rows(empty, "set1", prototype_rows(["ann"]))
    add_network(empty, "net", 2)
    plant(empty, "net", "set1", np.random.default_rng(0).normal(size=(6, 2)))
    with pytest.raises(BadInput, match="needs two expressions and two identities"):
        empty.query("FROM expression_anova('net', 'planted', 'set1')")
    with pytest.raises(BadInput, match="fewer than two levels of identity"):
        select(empty, Place("net", "planted", "set1"), Options())


def test_a_layer_of_one_unit(empty: Warehouse) -> None:
    register_rows(empty, "set1", prototype_rows(["ann", "bob", "eve"]))
    add_network(empty, "net", 1)
    values = np.random.default_rng(0).normal(size=(18, 1)).astype(np.float32)
    plant(empty, "net", "set1", values)
    table = anova(empty, Place("net", "planted", "set1"))
    macro = empty.frame("FROM expression_anova('net', 'planted', 'set1')")
    assert_frame_equal(macro, table.select(macro.columns), rel_tol=1e-9)
    expected = by_statsmodels(values[:, 0], empty.frame("FROM stimuli ORDER BY stimulus_id"))
    assert table.height == 1
    assert {k: table[k][0] for k in expected} == pytest.approx(expected, rel=1e-6)
    found = select(empty, Place("net", "planted", "set1"), Options(permutations=20))
    assert (found.units, found.varying) == (1, 1)


def test_a_layer_that_is_not_stored_is_refused_with_the_command_that_stores_it(
    ingested: Warehouse,
) -> None:
    command = "fexp ingest --network dlib --layer conv1 --stimuli set1"
    with pytest.raises(BadInput, match=f"0 of the 48 stimuli of set1; run: {command}"):
        select(ingested, Place("dlib", "conv1", "set1"), Options())
    with pytest.raises(NotFound, match="no layer 'conv9'"):
        select(ingested, Place("dlib", "conv9", "set1"), Options())
    with pytest.raises(BadInput, match=r"alpha must be a number above 0 and below 1, not 1\.0"):
        select(ingested, Place("dlib", "conv4_3", "set1"), Options(alpha=1.0))

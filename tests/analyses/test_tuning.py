"""Tuning and the macros over responses, against numpy and scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import zscore
from support.bare import bare
from support.writing import Fexp

from fexp_store import NotFound, Warehouse
from fexp_store.analyses.selectivity.select import Options as SelectOptions
from fexp_store.analyses.selectivity.select import select
from fexp_store.analyses.selectivity.tune import Options, matrix, tune
from fexp_store.expressions import BASIC
from fexp_store.warehouse.place import Place

KEY = Place("dlib", "conv4_3", "set1")


def z_scored_means(wh: Warehouse, units: list[int]) -> np.ndarray:
    """Units x expressions in alphabetical order, from the dense matrix."""
    block = wh.matrix(*KEY, units=units)
    z = zscore(block.values.astype(float), axis=0)
    shown = block.stimuli["expression"].to_numpy()
    return np.stack([z[shown == name].mean(axis=0) for name in sorted(BASIC)], axis=1)


@pytest.mark.slow
def test_tuning_is_the_mean_z_score_by_expression(own_copy: Warehouse, fexp: Fexp) -> None:
    with pytest.raises(NotFound, match="run: fexp select"):
        tune(own_copy, KEY, Options())
    select(own_copy, KEY, SelectOptions(alpha=0.05))
    units = own_copy.frame("FROM selectivity WHERE selective ORDER BY unit_id")["unit_id"].to_list()
    done = fexp(
        *("-w", own_copy.location, "tune", *KEY.as_arguments.split(), "-f", "json"),
    )
    assert done.returncode == 0, done.stderr
    expected = z_scored_means(own_copy, units)
    table = matrix(own_copy, KEY)
    assert sorted(table["unit_id"]) == units
    found = table.sort("unit_id").select(sorted(BASIC)).to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    best = np.array(sorted(BASIC))[expected.argmax(axis=1)]
    assert (table.sort("unit_id")["preferred"].to_numpy() == best).all()
    counts = {row["expression"]: row["units"] for row in json.loads(done.stdout)}
    assert counts == {name: int((best == name).sum()) for name in BASIC}
    assert table["preferred"].is_sorted()
    for (name,), group in table.group_by("preferred"):
        assert group[name].is_sorted(descending=True)


def test_a_layer_without_selective_units_has_an_empty_tuning(own_copy: Warehouse) -> None:
    select(own_copy, KEY, SelectOptions(alpha=1e-300))
    assert not own_copy.frame("FROM selectivity WHERE selective").height
    counts = tune(own_copy, KEY, Options()).counts
    assert dict(counts.iter_rows()) == dict.fromkeys(BASIC, 0)


def test_unit_tuning_in_a_bare_duckdb_client(ingested: Warehouse) -> None:
    ingested.rebuild_catalog()
    with bare(ingested.location) as plain:
        query = "FROM unit_tuning('dlib', 'conv4_3', 'set1', first_unit := 100, last_unit := 400)"
        rows = plain.sql(query).pl()
    units = list(range(100, 401))
    varies = np.ptp(ingested.matrix(*KEY, units=units).values, axis=0) > 0
    found = rows["tuning"].to_numpy().reshape(-1, 6)
    assert np.isnan(found[~varies]).all()
    some = np.array(units)[varies].tolist()
    expected = z_scored_means(ingested, some)
    np.testing.assert_allclose(found[varies], expected, rtol=1e-6, atol=1e-9)
    preferred = rows["preferred"].to_numpy().reshape(-1, 6)
    assert (preferred[varies].argmax(axis=1) == expected.argmax(axis=1)).all()
    assert (preferred.sum(axis=1) == varies).all()


def test_top_units_are_those_of_a_sorted_row(ingested: Warehouse) -> None:
    row = ingested.matrix(*KEY).values[12]
    order = np.lexsort([np.arange(len(row)), -row])[:20]
    found = ingested.frame("FROM top_units('dlib', 'conv4_3', 'set1', 12, 20)")
    assert found["unit_id"].to_list() == order.tolist()
    assert (found["activation"].to_numpy() == row[order]).all()
    assert (found["channel"].to_numpy() == order // 64).all()


def test_nearest_stimuli_are_those_of_euclidean_distance(ingested: Warehouse) -> None:
    units = [101, 5512, 8001]
    x = ingested.matrix(*KEY, units=units).values.astype(float)
    distance = np.linalg.norm(x - x[12], axis=1)
    order = [i for i in np.lexsort([np.arange(48), distance]) if i != 12][:20]
    found = ingested.frame(f"FROM nearest_stimuli('dlib', 'conv4_3', 'set1', 12, {units}, 20)")
    assert found["stimulus_id"].to_list() == order
    np.testing.assert_allclose(found["distance"], distance[order], rtol=1e-12)


def test_unit_moments(ingested: Warehouse) -> None:
    for layer in ("conv4_3", "conv4_3:pre"):
        x = ingested.matrix("dlib", layer, "set1").values.astype(float)
        found = ingested.frame(f"FROM unit_moments('dlib', '{layer}', 'set1')")
        assert found["n"].unique().to_list() == [48]
        np.testing.assert_allclose(found["mean"], x.mean(axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found["variance"], x.var(axis=0, ddof=1), rtol=1e-9, atol=1e-12)
        with np.errstate(invalid="ignore"):
            sparse = (1 - x.mean(axis=0) ** 2 / (x**2).mean(axis=0)) / (1 - 1 / 48)
        sparse[(x.min(axis=0) < 0)] = np.nan
        np.testing.assert_allclose(found["sparseness"].to_numpy(), sparse, rtol=1e-9, atol=1e-9)

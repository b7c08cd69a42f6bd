"""Units with a response that is not finite count as units without variance, in every analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from support.planted import add_network, morph_rows, plant, prototype_rows, register_rows
from support.writing import write_fragment

from fexp_store import BadInput, Warehouse
from fexp_store.analyses import ANALYSES, analysis
from fexp_store.options import make
from fexp_store.warehouse.activations.commit import commit
from fexp_store.warehouse.place import Place

UNITS = 40
CONTINUA = (("anger", "fear"), ("happiness", "sadness"))
LEVELS = np.linspace(0, 1, 7)
BAD = {"faces": (3, 17, 30), "others": (5, 17), "morphs": (0, 39)}
VALUES = (np.nan, np.inf, -np.inf)


def responses(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """By set; half of the units respond to the expression."""
    pattern = rng.normal(size=(6, UNITS)) * (np.arange(UNITS) % 2)
    faces = np.tile(pattern, (8, 1)) + rng.normal(size=(48, UNITS)) / 2
    others = np.tile(pattern, (5, 1)) + rng.normal(size=(30, UNITS)) / 2
    morphs = rng.normal(size=(len(CONTINUA) * 4 * len(LEVELS), UNITS))
    named = {"faces": faces, "others": others, "morphs": morphs}
    return {name: values.astype(np.float32) for name, values in named.items()}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The same responses of a network that is whole and of one with units that are not finite."""
    wh = Warehouse.create(tmp_path_factory.mktemp("nonfinite") / "warehouse")
    register_rows(wh, "faces", prototype_rows([f"p{i}" for i in range(8)]))
    register_rows(wh, "others", prototype_rows([f"q{i}" for i in range(5)]))
    register_rows(wh, "morphs", morph_rows([f"p{i}" for i in range(4)], CONTINUA, LEVELS))
    for network in ("whole", "broken"):
        add_network(wh, network, UNITS)
        rng = np.random.default_rng(0)
        for name, values in responses(rng).items():
            if network == "broken":
                for number, unit in enumerate(BAD[name]):
                    values[rng.integers(len(values)), unit] = VALUES[number % 3]
            plant(wh, network, name, values)
    return wh


def run(wh: Warehouse, name: str, network: str, **options: Any) -> Any:
    this = analysis(name)
    return this.run(wh, Place(network, "planted", "faces"), make(this.options, options))


def good(*sets: str) -> list[int]:
    bad = {unit for name in sets for unit in BAD[name]}
    return [unit for unit in range(UNITS) if unit not in bad]


def test_selection_is_that_of_the_other_units(stored: Warehouse) -> None:
    found = run(stored, "select", "broken", permutations=50)
    rows = stored.frame("FROM selectivity WHERE network = 'broken' ORDER BY unit_id")
    run(stored, "select", "whole", permutations=50)
    whole = stored.frame("FROM selectivity WHERE network = 'whole' ORDER BY unit_id")
    statistics = [c for c in rows.columns if c[:2] in ("f_", "p_") or c.startswith("eta")]
    assert len(statistics) == 6
    bad = rows.filter(pl.col("unit_id").is_in(BAD["faces"]))
    assert bad.select(statistics).null_count().row(0) == (3,) * 6
    assert not bad["selective"].any()
    rest = pl.col("unit_id").is_in(good("faces"))
    assert_frame_equal(rows.filter(rest).select(statistics), whole.filter(rest).select(statistics))
    assert rows.filter(rest)["selective"].to_list() == whole.filter(rest)["selective"].to_list()
    assert (found.units, found.varying) == (UNITS, UNITS - 3)
    assert 0 < found.selective == rows["selective"].sum()
    assert found.chance_mean is not None


def test_tuning_and_chance_know_nothing_of_them(stored: Warehouse) -> None:
    run(stored, "select", "broken")
    counts = run(stored, "tune", "broken").counts
    tuned = stored.frame("FROM tuning WHERE network = 'broken'")
    assert tuned["tuning"].is_finite().all()
    assert not set(tuned["unit_id"]) & set(BAD["faces"])
    assert counts["units"].sum() == tuned["unit_id"].n_unique() > 0


def compared(found: Any) -> Any:
    """What analyses of patterns found, without the run and the name of the choice."""
    match type(found).__name__:
        case "Decoding":
            return replace(found.found, units="", selection="")
        case "Confusion":
            return found.found.accuracy, found.matrix.rows()
        case "Geometry":
            return found.dissimilarity["distance"].to_list()
        case "Categorical":
            return found.identification.rows(), found.fits["r2"].to_list()
    raise TypeError(found)


PATTERNS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "decode": ({"folds": 4, "shuffles": 3}, ("faces",)),
    "rsa": ({}, ("faces",)),
    "confuse": ({"test": "others", "resamples": 5}, ("faces", "others")),
    "categorize": ({"morphs": "morphs", "folds": 4, "resamples": 5}, ("faces", "morphs")),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_leave_them_out_on_every_set_that_is_read(
    stored: Warehouse, tmp_path: Path, name: str
) -> None:
    options, sets = PATTERNS[name]
    listed = tmp_path / "units.txt"
    listed.write_text("\n".join(map(str, good(*sets))))
    expected = run(stored, name, "whole", units=str(listed), **options)
    found = run(stored, name, "broken", units="all", **options)
    assert compared(found) == compared(expected)
    run(stored, "select", "broken")
    for units in ("selective", "random"):
        assert "nan" not in str(compared(run(stored, name, "broken", units=units, **options)))


def test_halves_are_compared_without_them(stored: Warehouse) -> None:
    found, whole = (run(stored, "reliability", name) for name in ("broken", "whole"))
    assert found.splits["varying"].unique().to_list() == [UNITS - 3]
    assert whole.splits["varying"].unique().to_list() == [UNITS]
    assert (found.by_people["selective"] <= whole.by_people["selective"]).all()


def test_every_analysis_is_tried_here() -> None:
    # compare reads stored results and no activations
    assert ANALYSES.keys() == {*PATTERNS, "select", "reliability", "tune", "compare"}


def test_where_nobody_counted_they_are_looked_for(stored: Warehouse, empty: Warehouse) -> None:
    """Files of earlier versions."""
    register_rows(empty, "faces", prototype_rows([f"p{i}" for i in range(8)]))
    add_network(empty, "broken", UNITS)
    values = stored.matrix("broken", "planted", "faces").values
    fragment = write_fragment(empty, values, 0, Place("broken", "planted", "faces"))
    commit(empty.storage, [replace(fragment, nonfinite=None)])  # type: ignore[arg-type]  # as old rows
    options = {"units": "all", "folds": 4, "shuffles": 3}
    assert compared(run(empty, "decode", "broken", **options)) == compared(
        run(stored, "decode", "broken", **options)
    )
    assert run(empty, "select", "broken").varying == UNITS - 3


def test_a_layer_without_any_finite_unit_is_refused(empty: Warehouse) -> None:
    register_rows(empty, "faces", prototype_rows([f"p{i}" for i in range(8)]))
    add_network(empty, "broken", 5)
    plant(empty, "broken", "faces", np.full((48, 5), np.nan))
    with pytest.raises(BadInput, match="Each of these 5 units of broken planted has a resp"):
        run(empty, "decode", "broken", units="all")
    assert run(empty, "select", "broken").varying == 0


def without_bad(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(~pl.col("unit_id").is_in(BAD["faces"]))


MACROS: dict[str, Callable[[str], str]] = {
    "expression_anova": lambda n: f"FROM expression_anova('{n}', 'planted', 'faces')",
    "unit_tuning": lambda n: f"FROM unit_tuning('{n}', 'planted', 'faces')",
    "unit_moments": lambda n: f"FROM unit_moments('{n}', 'planted', 'faces')",
}


@pytest.mark.parametrize("name", MACROS)
def test_macros_give_them_no_statistics_and_the_others_theirs(stored: Warehouse, name: str) -> None:
    rows, whole = (stored.frame(MACROS[name](network)) for network in ("broken", "whole"))
    bad = rows.filter(pl.col("unit_id").is_in(BAD["faces"]))
    statistics = {
        "expression_anova": ["f_expression", "f_identity"],
        "unit_tuning": ["tuning", "mean_activation"],
        "unit_moments": ["mean", "variance", "sparseness"],
    }[name]
    assert bad["unit_id"].n_unique() == 3
    assert bad.select(statistics).null_count().row(0) == (bad.height,) * len(statistics)
    if "preferred" in rows.columns:
        assert not bad["preferred"].any()
    assert_frame_equal(without_bad(rows), without_bad(whole), rel_tol=1e-12)


def test_look_ups_leave_out_what_is_not_finite(stored: Warehouse) -> None:
    values = stored.matrix("broken", "planted", "faces").values
    (row,) = np.flatnonzero(~np.isfinite(values[:, 17]))
    units = stored.frame(f"FROM top_units('broken', 'planted', 'faces', {row}, {UNITS})")
    assert sorted(units["unit_id"]) == np.flatnonzero(np.isfinite(values[row])).tolist()
    stimuli = stored.frame("FROM top_stimuli('broken', 'planted', 17, 1000)")
    assert stimuli["activation"].is_finite().all()
    assert stimuli.filter(stimulus_set="faces").height == len(values) - 1
    near, same = (
        stored.frame(f"FROM nearest_stimuli('{n}', 'planted', 'faces', {row}, {of}, 5)")
        for n, of in (("broken", [1, 2, 3, 17, 30]), ("whole", [1, 2]))
    )
    assert_frame_equal(near, same)

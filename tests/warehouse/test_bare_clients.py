"""The same answers from the warehouse, a bare DuckDB client, and polars on the Delta tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from support.bare import bare

from fexp_store import Warehouse, schemas

PLACE = "'dlib', 'conv4_3', 'set1'"
MACROS = {
    "expression_anova": f"FROM expression_anova({PLACE}, last_unit := 400)",
    "unit_moments": f"FROM unit_moments({PLACE}) WHERE unit_id <= 400",
    "unit_tuning": f"FROM unit_tuning({PLACE}, last_unit := 400)",
    "top_stimuli": "FROM top_stimuli('dlib', 'conv4_3', 123, 20)",
    "top_units": f"FROM top_units({PLACE}, 12, 20)",
    "nearest_stimuli": f"FROM nearest_stimuli({PLACE}, 12, [101, 5512, 8001], 20)",
}
X = pl.col("activation").cast(pl.Float64)


@pytest.fixture(scope="module")
def plain(ingested: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    ingested.rebuild_catalog()
    with bare(ingested.location) as connection:
        yield connection


def test_every_macro_over_activations_is_asked_here() -> None:
    assert set(MACROS) == set(schemas.sql("macros")) - {"design_faults"}


@pytest.mark.parametrize("query", MACROS.values(), ids=MACROS)
def test_a_bare_client_answers_as_the_warehouse(
    ingested: Warehouse, plain: duckdb.DuckDBPyConnection, query: str
) -> None:
    expected = ingested.frame(query)
    assert expected.height
    # Units are worked on in parallel, and sums of floats depend on their order in the last digit.
    assert_frame_equal(plain.sql(query).pl(), expected, rel_tol=1e-12, check_row_order=False)


def test_the_lines_of_the_documentation_work(ingested: Warehouse) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sql.md").read_text("utf-8")
    text = text.split("## Other clients")[1].replace("/data/faces", ingested.location)
    said = re.findall(r"```sql\n(.*?)```|`(SET f.*?)`|, \"(SET .*?)\"", text, re.DOTALL)
    settings = [next(filter(None, parts)) for parts in said]
    assert len(settings) == 3
    for setting in settings:
        with bare(ingested.location, "fexp_root") as client:
            client.execute("RESET VARIABLE fexp_root")
            with pytest.raises(duckdb.IOException):
                client.execute("SELECT count(*) FROM activations")
            client.execute(setting)
            assert client.execute("SELECT count(*) > 0 FROM activations").fetchall() == [(True,)]


UNIT = "unit_id"


def anova(x: pl.LazyFrame) -> pl.LazyFrame:
    def around_mean(*by: str) -> pl.Expr:
        return (X.mean().over(UNIT, *by) - X.mean().over(UNIT)).pow(2)

    squares = x.filter(pl.col(UNIT) <= 400).select(
        UNIT,
        (X - X.mean().over(UNIT)).pow(2).alias("ss_total"),
        *(around_mean(factor).alias(f"ss_{factor}") for factor in ("expression", "identity")),
    )
    return squares.group_by(UNIT).sum()


def moments(x: pl.LazyFrame) -> pl.LazyFrame:
    few = x.filter(pl.col(UNIT) <= 400).group_by(UNIT)
    return few.agg(pl.len().cast(pl.Int64).alias("n"), mean=X.mean(), variance=X.var())


def tuning(x: pl.LazyFrame) -> pl.LazyFrame:
    z = (X - X.mean().over(UNIT)) / X.std(ddof=0).over(UNIT)
    few = x.filter(pl.col(UNIT) <= 400).select(UNIT, "expression", tuning=z.fill_nan(None))
    return few.group_by(UNIT, "expression").agg(
        pl.when(pl.col("tuning").count() > 0).then(pl.col("tuning").mean())
    )


def top(x: pl.LazyFrame, fixed: str, value: int, ranked: str) -> pl.LazyFrame:
    largest = x.filter(pl.col(fixed) == value).sort("activation", ranked, descending=[True, False])
    return largest.select(ranked, "activation").head(20)


def nearest(x: pl.LazyFrame) -> pl.LazyFrame:
    few = x.filter(pl.col(UNIT).is_in([101, 5512, 8001]))
    seed = few.filter(stimulus_id=12).select(UNIT, seed=X)
    squares = few.filter(pl.col("stimulus_id") != 12).join(seed, on=UNIT)
    distances = squares.group_by("stimulus_id").agg(
        distance=(X - pl.col("seed")).pow(2).sum().sqrt()
    )
    return distances.sort("distance", "stimulus_id").head(20)


POLARS = {
    "expression_anova": anova,
    "unit_moments": moments,
    "unit_tuning": tuning,
    "top_stimuli": partial(top, fixed=UNIT, value=123, ranked="stimulus_id"),
    "top_units": partial(top, fixed="stimulus_id", value=12, ranked=UNIT),
    "nearest_stimuli": nearest,
}


@pytest.mark.parametrize("name", MACROS)
def test_polars_finds_the_same_in_the_delta_tables(ingested: Warehouse, name: str) -> None:
    activations = pl.scan_delta(str(Path(ingested.location) / "activations"))
    stimuli = pl.scan_delta(str(Path(ingested.location) / "stimuli"))
    here = activations.filter(network="dlib", layer="conv4_3", stimulus_set="set1")
    labels = stimuli.select("stimulus_set", "stimulus_id", "identity", "expression")
    found = POLARS[name](here.join(labels, on=["stimulus_set", "stimulus_id"])).collect()
    expected = ingested.frame(MACROS[name]).select(found.columns)
    same = partial(assert_frame_equal, rel_tol=1e-9, abs_tol=1e-12, check_row_order=False)
    same(found, expected, check_dtypes=False)

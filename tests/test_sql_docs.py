"""docs/sql.md names every view, column and macro of a catalog; matrices convert with labels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fexp_store import Warehouse

PAGE = (Path(__file__).parents[1] / "docs" / "sql.md").read_text("utf-8")
CALLS = {
    "design_faults": "('set1')",
    "expression_anova": "('dlib', 'embedding', 'set1')",
    "unit_tuning": "('dlib', 'embedding', 'set1')",
    "unit_moments": "('dlib', 'embedding', 'set1')",
    "top_stimuli": "('dlib', 'embedding', 3, 5)",
    "top_units": "('dlib', 'embedding', 'set1', 3, 5)",
    "nearest_stimuli": "('dlib', 'embedding', 'set1', 3, [1, 2], 5)",
}


def row_of(name: str) -> str:
    (row,) = re.findall(rf"^\| `{name}[`(].*$", PAGE, re.MULTILINE)
    return row


def test_every_view_and_column_is_documented(ingested: Warehouse) -> None:
    columns = ingested.frame(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND database_name = 'catalog'"
    )
    assert columns["table_name"].n_unique() >= 12
    for view, column in columns.iter_rows():
        row = row_of(view)
        if "the columns of `selectivity`" in row:
            row += row_of("selectivity")
        assert re.search(rf"\b{column}\b", row), f"{view}.{column}"


def test_every_macro_and_its_columns_are_documented(ingested: Warehouse) -> None:
    query = (
        "SELECT function_name, parameters FROM duckdb_functions() "
        "WHERE function_type = 'table_macro' AND database_name = 'catalog'"
    )
    macros = dict(ingested.frame(query).iter_rows())
    assert macros.keys() == CALLS.keys()
    for name, call in CALLS.items():
        for column in ingested.frame(f"FROM {name}{call}").columns:
            assert re.search(rf"\b{column}\b", row_of(name)), f"{name}: {column}"


def test_a_matrix_for_rsatoolbox_and_xarray_has_its_labels(ingested: Warehouse) -> None:
    matrix = ingested.matrix("dlib", "conv4_3", "set1", units=[3, 9])
    dataset = matrix.to_rsatoolbox()
    assert (dataset["measurements"] == matrix.values).all()
    expressions = matrix.stimuli["expression"].to_list()
    assert dataset["obs_descriptors"]["expression"] == expressions
    assert dataset["channel_descriptors"] == {"unit_id": [3, 9]}
    array = matrix.to_xarray()
    fear = array[array["expression"] == "fear"].values
    assert (fear == matrix.values[np.array(expressions) == "fear"]).all()
    assert array["unit_id"].values.tolist() == [3, 9]

"""docs/sql.md, as it is built, has every view, column and macro of a catalog with its comment."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from fexp_store import Warehouse

DOCS = Path(__file__).parents[2] / "docs"
SOURCE = (DOCS / "sql.md").read_text("utf-8")
PAGE = runpy.run_path(str(DOCS / "hooks.py"))["on_page_markdown"](SOURCE)
CALLS = {
    "design_faults": "('set1')",
    "expression_anova": "('dlib', 'embedding', 'set1')",
    "unit_tuning": "('dlib', 'embedding', 'set1')",
    "unit_moments": "('dlib', 'embedding', 'set1')",
    "top_stimuli": "('dlib', 'embedding', 3, 5)",
    "top_units": "('dlib', 'embedding', 'set1', 3, 5)",
    "nearest_stimuli": "('dlib', 'embedding', 'set1', 3, [1, 2], 5)",
}


def section_of(name: str) -> str:
    (section,) = re.findall(rf"^### `{name}`\n(.*?)^(?=#|<!--)", PAGE, re.MULTILINE | re.DOTALL)
    return section


def test_what_is_written_by_hand_names_only_what_there_is(ingested: Warehouse) -> None:
    names = ingested.frame(
        "SELECT view_name FROM duckdb_views() UNION SELECT column_name FROM duckdb_columns() "
        "UNION SELECT function_name FROM duckdb_functions() WHERE function_type = 'table_macro'"
    )
    known = {*names["view_name"], *CALLS}
    named = re.findall(
        r"`([a-z]+(?:_[a-z]+)+|activations|selection|selectivity)(?:\(.*?)?`", SOURCE
    )
    assert {"selection", "expression_anova"} <= set(named)
    assert set(named) <= known


def test_every_view_and_column_is_documented(ingested: Warehouse) -> None:
    columns = ingested.frame(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND database_name = 'catalog'"
    )
    assert columns["table_name"].n_unique() >= 12
    for view, column in columns.iter_rows():
        assert re.search(rf"^\| `{column}` \| .+ \| .{{10,}} \|$", section_of(view), re.MULTILINE)


def test_every_macro_its_parameters_and_columns_are_documented(ingested: Warehouse) -> None:
    query = (
        "SELECT function_name, parameters FROM duckdb_functions() "
        "WHERE function_type = 'table_macro' AND database_name = 'catalog'"
    )
    macros = dict(ingested.frame(query).iter_rows())
    assert macros.keys() == CALLS.keys()
    for name, call in CALLS.items():
        accepted, returned = section_of(name).split("Returns one row per")
        for parameter in macros[name]:
            assert re.search(rf"^- .*`{parameter}`.*: ", accepted, re.MULTILINE), parameter
        for column in ingested.frame(f"FROM {name}{call}").columns:
            assert re.search(rf"^- .*`{column}`.*: ", returned, re.MULTILINE), column

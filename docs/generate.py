"""Writes what sql.md says of views and macros, from the catalog of an empty warehouse."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from fexp_store import Warehouse, schemas

PAGE = Path(__file__).with_name("sql.md")
PUBLIC = "WHERE database_name = 'catalog' AND schema_name = 'main'"
VIEWS = f"SELECT view_name, comment FROM duckdb_views() {PUBLIC} ORDER BY ALL"
COLUMNS = "SELECT column_name, data_type, comment FROM duckdb_columns() "
COLUMNS += f"{PUBLIC} AND table_name = $view ORDER BY column_index"
MACROS = f"SELECT function_name, comment FROM duckdb_functions() {PUBLIC} ORDER BY ALL"


def generated(page: str) -> str:
    """Return a page with what stands between its markers written anew."""
    with TemporaryDirectory() as folder:
        wh = Warehouse.create(Path(folder) / "warehouse")
        for name, lines in (("views", _views(wh)), ("macros", _macros(wh))):
            start, end = f"<!-- {name}: from docs/generate.py -->", f"<!-- end of {name} -->"
            before, rest = page.split(start)
            page = "\n".join([before + start, "", *lines, end + rest.split(end)[1]])
    return page


def _views(wh: Warehouse) -> list[str]:
    lines = []
    for view, comment in wh.frame(VIEWS).iter_rows():
        lines += [f"### `{view}`", "", _escaped(comment), ""]
        lines += ["| column | type | |", "| --- | --- | --- |"]
        for column, kind, meaning in wh.frame(COLUMNS, view=view).iter_rows():
            lines.append(f"| `{column}` | {kind} | {_escaped(meaning)} |")
        lines.append("")
    return lines


def _macros(wh: Warehouse) -> list[str]:
    lines = []
    for macro, comment in wh.frame(MACROS).iter_rows():
        found = re.search(r"CREATE MACRO (.*?) AS TABLE", schemas.sql("macros")[macro], re.DOTALL)
        assert found is not None
        call = re.sub(r"\s+", " ", found[1]).replace("( ", "(").replace(" )", ")")
        text = re.sub(r"^- (.*?):", _code, _escaped(comment), flags=re.MULTILINE)
        # Markdown wants an empty line before a list and after it.
        text = re.sub(r"^(\w.*:)\n(?=- )", r"\n\1\n\n", text, flags=re.MULTILINE)
        lines += [f"### `{macro}`", "", f"    {call}", "", text, ""]
    return lines


def _code(names: re.Match[str]) -> str:
    return "- " + ", ".join(f"`{name}`" for name in names[1].split(", ")) + ":"


def _escaped(text: str) -> str:
    return re.sub(r"([*|])", r"\\\1", text)


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text("utf-8")), "utf-8")

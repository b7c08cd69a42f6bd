"""Writes what the code says of itself into pages: commands, analyses, views and macros."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import MISSING
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typer.main import get_command

from fexp_store import Warehouse, schemas
from fexp_store.analyses import ANALYSES, analysis
from fexp_store.cli import app
from fexp_store.options import describe

PUBLIC = "WHERE database_name = 'catalog' AND schema_name = 'main'"
VIEWS = f"SELECT view_name, comment FROM duckdb_views() {PUBLIC} ORDER BY ALL"
COLUMNS = "SELECT column_name, data_type, comment FROM duckdb_columns() "
COLUMNS += f"{PUBLIC} AND table_name = $view ORDER BY column_index"
MACROS = f"SELECT function_name, comment FROM duckdb_functions() {PUBLIC} ORDER BY ALL"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers in a page by what they stand for."""
    markdown = markdown.replace(
        "<!-- commands -->", "\n".join(_reference(get_command(app), "fexp"))
    )
    markdown = _with_analyses(markdown)
    if "<!-- views -->" in markdown:
        with TemporaryDirectory() as folder:
            wh = Warehouse.create(Path(folder) / "warehouse")
            for marker, lines in (("views", _views(wh)), ("macros", _macros(wh))):
                markdown = markdown.replace(f"<!-- {marker} -->", "\n".join(lines))
    return markdown


def _reference(command: Any, name: str) -> list[str]:
    lines = [f"## `{name}`", "", _help(command), ""]
    options = [_option(p) for p in command.params if p.name not in ("help", "version")]
    if options:
        lines += ["| | default | |", "| --- | --- | --- |", *options, ""]
    for sub, inner in getattr(command, "commands", {}).items():
        lines += _reference(inner, f"{name} {sub}")
    return lines


def _help(command: Any) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(f"    {p}" if p.startswith("fexp ") else p for p in paragraphs)


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{x}`" for x in (*parameter.opts, *parameter.secondary_opts))
    default = "" if callable(parameter.default) or parameter.default is None else parameter.default
    shown = (
        "" if parameter.required or default is False else f"`{default}`" if default != "" else ""
    )
    return f"| {names} | {shown} | {getattr(parameter, 'help', '') or ''} |"


def _with_analyses(markdown: str) -> str:
    """Replace the markers of each analysis: its options, and what sets its runs apart."""
    keys = ["| analysis | one run counts for each |", "| --- | --- |"]
    for name in ANALYSES:
        lines = ["| option | default | must be | |", "| --- | --- | --- | --- |"]
        for option in describe(analysis(name).options):
            flag = "--" + option.name.replace("_", "-")
            given = option.default not in (MISSING, None)
            default = f"`{json.dumps(option.default)}`" if given else ""
            lines.append(f"| `{flag}` | {default} | {option.wanted} | {_escaped(option.help)} |")
        markdown = markdown.replace(f"<!-- options of {name} -->", "\n".join(lines))
        keys.append(f"| `{name}` | {', '.join(f'`{x}`' for x in analysis(name).same_if)} |")
    return markdown.replace("<!-- keys of analyses -->", "\n".join(keys))


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

"""Writes the reference of the command line into cli.md from the commands themselves."""

from __future__ import annotations

import inspect
from typing import Any

from typer.main import get_command

from fexp_store.cli import app

MARKER = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marker in a page by the reference."""
    return markdown.replace(MARKER, "\n".join(_reference(get_command(app), "fexp")))


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

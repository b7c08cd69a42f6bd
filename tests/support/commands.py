"""The commands that there are."""

from __future__ import annotations

from typer.main import get_command

from fexp_store.cli import app


def commands() -> dict[str, str | None]:
    """Every command, with its help text."""
    found = {}
    root = get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        for sub, inner in getattr(command, "commands", {"": command}).items():
            found[f"{name} {sub}".strip()] = inner.help
    return found

"""The standard streams: what reaches a terminal, and what becomes of output that nobody takes."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import Any, NoReturn

from rich.console import Console

# Controls (of terminals, of lines, of the direction of writing), and halves of characters.
_COMMANDS = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff]"
)


def visible(text: str) -> str:
    """Write characters that would command a terminal as Python writes them in a string."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escape(text: str, form: str) -> str:
    """Write characters that would command a terminal as their numbers, in some form."""
    return _COMMANDS.sub(lambda found: form.format(ord(found[0])), text)


class Terminal(Console):
    """Prints text as it is: without markup, and with nothing in it that commands a terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print each text on one line, whatever is in it."""
        super().print(*(visible(x) if isinstance(x, str) else x for x in objects), **options)

    def on_broken_pipe(self) -> NoReturn:
        """Let the command end as everything does whose output nobody reads on."""
        raise


messages = Terminal(stderr=True, soft_wrap=True)
"""Progress, messages and errors go to standard error; standard output is for data."""


def prepare_streams() -> None:
    """Make the standard streams take every character, whatever their encoding."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write what is left of the output, as long as an error in that can be told."""
    if sys.stdout is not None:
        sys.stdout.flush()


def let_go() -> None:
    """Drop output that cannot be written, which Python would try once more as it ends."""
    with suppress(OSError, ValueError):
        flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

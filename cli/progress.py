"""Progress bars with rate and time left, on standard error, and none where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from fexp_store.cli.app import messages
from fexp_store.progress import Advance, Started


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


@contextmanager
def bar(label: str) -> Iterator[Started]:
    """Give a function that starts the bar with its total and returns the one that advances it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:

        def started(total: int) -> Advance:
            task = progress.add_task(label, total=total)
            return lambda n: progress.advance(task, n)

        yield started

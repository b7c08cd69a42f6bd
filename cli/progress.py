"""Progress bars with rate and time left, on standard error, and none where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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
from fexp_store.cli.terminal import visible
from fexp_store.progress import Advance, Started


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


@contextmanager
def bar(label: str) -> Iterator[Started]:
    """Give a function that draws the bar, once its total is known, and returns what advances it."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with ExitStack() as drawn:

        def started(total: int) -> Advance:
            disable = not messages.is_terminal or messages.is_dumb_terminal
            progress = drawn.enter_context(Progress(*columns, console=messages, disable=disable))
            task = progress.add_task(visible(label), total=total)
            return lambda n: progress.advance(task, n)

        yield started

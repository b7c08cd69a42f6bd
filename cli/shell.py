"""The shell of ``fexp sql``: questions one after the other, over several lines, with a history."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from fexp_store import Warehouse
from fexp_store.causes import sentence
from fexp_store.cli.output import Format, print_stream
from fexp_store.cli.terminal import messages

_HELP = """A question ends with a semicolon and may take several lines.
.tables    list views and macros
.help      this text
.quit      leave (or Ctrl-D); Ctrl-C stops a query that is running"""
_TABLES = (
    "SELECT view_name AS name, 'view' AS kind FROM duckdb_views() WHERE NOT internal "
    "AND schema_name <> 'stored' UNION SELECT function_name, 'macro' FROM duckdb_functions() "
    "WHERE function_type = 'table_macro' AND NOT internal ORDER BY kind DESC, name"
)


def shell(wh: Warehouse) -> None:
    """Read questions from standard input and answer each, until it ends."""
    with _history(wh.storage.local("sql_history")):
        if sys.stdin.isatty():
            messages.print("Type .help for help.")
        while (question := _question()) is not None:
            if not _command(wh, question):
                break


def _question() -> str | None:
    """Read lines until one ends a question; Ctrl-C begins anew, the end of input is None."""
    lines: list[str] = []
    while True:
        try:
            lines.append(input("fexp> " if not lines else "   -> "))
        except EOFError:
            return "\n".join(lines) if "".join(lines).strip() else None
        except KeyboardInterrupt:
            messages.print()
            lines = []
            continue
        text = "\n".join(lines).strip()
        if text.endswith(";") or (text.startswith(".") and len(lines) == 1):
            return text
        if not text:
            lines = []


def _command(wh: Warehouse, question: str) -> bool:
    """Do what was typed; return whether to go on."""
    match question.rstrip("; "):
        case ".quit" | ".exit":
            return False
        case ".help":
            messages.print(*_HELP.splitlines(), sep="\n")
        case ".tables":
            _answer(wh, _TABLES)
        case "":
            pass
        case _:
            _answer(wh, question)
    return True


def _answer(wh: Warehouse, question: str) -> None:
    try:
        interruptible(wh, lambda: print_stream(wh.stream(question), Format.table))
    except (BrokenPipeError, MemoryError):
        raise
    except Exception as error:
        messages.print(f"Error: {sentence(error)}", style="red")
    except KeyboardInterrupt:
        messages.print("Interrupted.", style="red")


def interruptible(wh: Warehouse, work: Callable[[], object]) -> None:
    """Run queries in a thread, so that Ctrl-C stops them at once.

    Raises
    ------
    KeyboardInterrupt
        Once the query has stopped.
    """
    raised: list[BaseException] = []
    ended = Event()  # Thread.join, once interrupted, takes a running thread for one that ended

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            ended.set()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while not ended.wait(0.1):
            pass
    except KeyboardInterrupt:
        while not ended.wait(0.1):  # it may not have begun to run when first interrupted
            wh.interrupt()
        raise
    finally:
        if ended.is_set():
            thread.join()  # a thread that is left as Python ends may abort it
    if raised:
        raise raised[0]


@contextmanager
def _history(file: str | None) -> Iterator[None]:
    """Keep lines between sessions where the platform has readline and input is a terminal."""
    try:
        import readline
    except ImportError:  # Windows
        readline = None  # type: ignore[assignment]
    if readline is None or file is None or not sys.stdin.isatty():
        yield
        return
    path = Path(file)
    if path.exists():
        readline.read_history_file(path)
    try:
        yield
    finally:
        readline.set_history_length(1000)
        readline.write_history_file(path)

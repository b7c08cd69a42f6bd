"""The application: options before the command, and errors printed in one place."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import fexp_store
from fexp_store import Warehouse
from fexp_store.causes import sentence
from fexp_store.cli.terminal import flush, let_go, prepare_streams
from fexp_store.cli.terminal import messages as messages

_FAILED = 1
_LONG = 1200  # characters of a sentence: a name that somebody made may be very long
_INTERRUPTED = 130  # as of a process that Ctrl-C ended
_NOBODY_READS = 141  # as of a process that SIGPIPE ended


@dataclass(frozen=True)
class Settings:
    """Options that stand before the command."""

    warehouse: Path
    debug: bool


class Commands(TyperGroup):
    """Turns whatever goes wrong into one sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; its output is written when this returns."""
        try:
            return self._told(ctx)
        except BrokenPipeError:
            let_go()
            raise typer.Exit(_NOBODY_READS) from None

    def _told(self, ctx: Any) -> Any:
        try:
            done = super().invoke(ctx)
            flush()
            return done
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            messages.print(
                "Interrupted. What was committed stays; run the same command to go on.", style="red"
            )
            code = _INTERRUPTED
        except BaseException as error:
            if not _is_failure(error):
                raise
            _say(error, debug=isinstance(ctx.obj, Settings) and ctx.obj.debug)
            code = _FAILED
        let_go()
        raise typer.Exit(code)


def _is_failure(error: BaseException) -> bool:
    """Whether it is an error of the work: Typer's own know the exit code that they end with."""
    if isinstance(error, Exception):
        return not isinstance(error, typer.Abort) and not hasattr(error, "exit_code")
    return type(error).__name__ == "PanicException"  # of libraries in Rust


def _say(error: BaseException, *, debug: bool) -> None:
    if debug:
        for part in traceback.format_exception(error):
            for line in part.splitlines():
                messages.print(line)
    said = sentence(error)
    if len(said) > _LONG:
        said = f"{said[: _LONG // 2]} … {said[-_LONG // 4 :]}"
    messages.print(f"Error: {said}", style="red")


app = typer.Typer(
    name="fexp",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(fexp_store.__version__)
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    warehouse: Annotated[
        Path,
        typer.Option(
            "--warehouse", "-w", envvar="FEXP_WAREHOUSE", help="Directory of the warehouse."
        ),
    ] = Path("warehouse"),
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Store unit activations of convolutional networks, and query them.

    A first session:

        fexp init

        fexp stimuli render faces --identities 24

        fexp networks add dlib_face

        fexp ingest --network dlib_face --layer conv4_3 --stimuli faces

        fexp select --network dlib_face --layer conv4_3 --stimuli faces
    """
    prepare_streams()
    ctx.obj = Settings(warehouse, debug)


def open_warehouse(ctx: typer.Context, memory: float = 2048) -> Warehouse:
    """Open the warehouse that the options name; its queries may have so many MiB of memory."""
    settings = ctx.obj
    assert isinstance(settings, Settings)
    from fexp_store.cli.progress import bar  # which prints where messages go

    wh = Warehouse(settings.warehouse, memory_limit=f"{memory}MiB")
    wh.bar = bar
    return wh

"""``fexp upgrade``: a warehouse of an earlier format becomes one of this version's."""

from __future__ import annotations

import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(upgrade)


def upgrade(ctx: typer.Context, output_format: FormatOption = Format.table) -> None:
    """Make a warehouse of an earlier format what this version makes; all answers stay the same.

    Files of small tables and results are written anew, so that each is named by its bytes and
    damage to it is found; activations stay as they are. Killed at any moment, the warehouse
    answers as before, and the same command goes on. Versions of fexp-store that do not know the
    new format refuse the warehouse afterwards.

    Example:

        fexp upgrade
    """
    from fexp_store.cli.progress import bar
    from fexp_store.warehouse.upgrade import upgrade as make_newer

    wh = open_warehouse(ctx)
    waiting = "Waiting for other processes that write to this warehouse."
    with bar("Writing bytes anew") as started:
        done = make_newer(wh.storage, lambda: messages.print(waiting), started)
    print_frame(done.tables, output_format)
    for sentence in done.broken.values():
        messages.print(sentence, style="red")
    files, size = (int(done.tables[name].sum()) for name in ("files", "bytes"))
    if files:
        messages.print(
            f"{files} files of {size / 1e6:.1f} MB were written anew; "
            "fexp vacuum deletes those that they replaced."
        )
    if done.broken:
        messages.print(f"{wh.location} stays at format {done.before} until that is mended.")
        raise typer.Exit(1)
    if done.before != done.after:
        messages.print(f"{wh.location}: format {done.before} became {done.after}.")
    else:
        rest = "" if done.tables.height else ", and nothing is to be done"
        messages.print(f"{wh.location} has format {done.after}{rest}.")

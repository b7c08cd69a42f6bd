"""``fexp status``: what a warehouse holds, and what is wrong with it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import polars as pl
import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(status)


def status(
    ctx: typer.Context,
    kinds: Annotated[
        bool, typer.Option("--kinds", help="A row for each kind of content instead: files, bytes.")
    ] = False,
    output_format: FormatOption = Format.table,
) -> None:
    """Say what is stored: which layers for which sets, complete or not, how large, what is wrong.

    Names, sizes and the small tables are looked at, activations are not read. A layer is damaged
    if a file of it is gone or has another size. Files are foreign that another program wrote, and
    unverified that were never hashed on this machine. As a table, columns that say nothing (no file
    is damaged, each layer is complete) are left out; the other formats have all.

    Examples
    --------
        fexp status

        fexp status --kinds --format json
    """
    from fexp_store.warehouse.status import status as look

    wh = open_warehouse(ctx)
    found = look(wh.storage)
    layers = _telling(found.layers) if output_format is Format.table else found.layers
    print_frame(found.kinds if kinds else layers, output_format)
    for sentence in found.broken.values():
        messages.print(sentence, style="yellow", markup=False)
    size = sum(found.kinds["bytes"])
    upgrade = " (fexp upgrade makes it newer)" if found.upgradable else ""
    messages.print(
        f"{wh.location}: format {found.format_version}{upgrade}, {size / 1e6:.1f} MB, "
        f"{_verified(found.verified)}"
    )
    orphans = found.kinds.filter(kind="orphans")
    for files, size in orphans.select("files", "bytes").iter_rows():
        messages.print(f"{files} files of {size / 1e6:.1f} MB belong to no table: fexp vacuum.")
    if found.layers["damaged"].sum() or found.broken:
        messages.print("Something is damaged: fexp verify", style="yellow")


def _telling(layers: pl.DataFrame) -> pl.DataFrame:
    """Leave out what is the same where nothing is wrong, so that it fits a terminal."""
    dull = [name for name in ("damaged", "foreign", "unverified") if not layers[name].sum()]
    if (layers["files"] == 1).all():
        dull.append("files")
    if (layers["state"] == "complete").all():
        dull.append("stored")
    size = (pl.col("bytes") / 1e6).round(1).alias("MB")
    names = ["MB" if name == "bytes" else name for name in layers.columns if name not in dull]
    return layers.with_columns(size).select(names)


def _verified(when: datetime | None) -> str:
    if when is None:
        return "never verified by you on this machine: fexp verify"
    return f"verified on {when.astimezone():%Y-%m-%d %H:%M}."

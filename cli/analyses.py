"""The analyses: one command each, made of what its record says."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl
import typer

from fexp_store.analyses import ANALYSES, analysis
from fexp_store.analyses.analysis import Analysis
from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.options import Command, LayersOption, NetworkOption, StimuliOption, takes
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.errors import BadInput
from fexp_store.warehouse.place import Place

PlacesArgument = Annotated[
    list[str], typer.Argument(metavar="NETWORK:LAYER...", help="Two layers or more.")
]


def add_to(app: typer.Typer) -> None:
    """Add a command for every analysis of the list."""
    for name in ANALYSES:
        found = analysis(name)
        make = _of_several if found.compares else _of_each
        app.command(name, help=found.help)(make(found))


def _of_each(analysis: Analysis) -> Command:
    @takes(analysis.options)
    def command(
        ctx: typer.Context,
        network: NetworkOption,
        layer: LayersOption,
        stimuli: StimuliOption,
        options: Any,
        output_format: FormatOption = Format.table,
    ) -> None:
        wh = open_warehouse(ctx)
        frames: list[pl.DataFrame] = []
        said: list[str] = []
        for name in layer:
            found = analysis.run(wh, Place(network, name, stimuli), options)
            where = (pl.lit(network).alias("network"), pl.lit(name).alias("layer"))
            frames.append(analysis.shown(found).select(*where, pl.all()))
            said += analysis.said(found)
        _print(analysis, pl.concat(frames, how="diagonal_relaxed"), said, output_format)

    return command


def _of_several(analysis: Analysis) -> Command:
    @takes(analysis.options)
    def command(
        ctx: typer.Context,
        networks: PlacesArgument,
        stimuli: StimuliOption,
        options: Any,
        output_format: FormatOption = Format.table,
    ) -> None:
        pairs = [name.split(":", 1) for name in networks]
        if any(len(pair) != 2 for pair in pairs):
            raise BadInput("Give each network with its layer, for example dlib_face:conv4_3.")
        places = [Place(network, layer, stimuli) for network, layer in pairs]
        found = analysis.run(open_warehouse(ctx), places, options)
        _print(analysis, analysis.shown(found), list(analysis.said(found)), output_format)

    return command


def _print(analysis: Analysis, frame: pl.DataFrame, said: list[str], output_format: Format) -> None:
    print_frame(frame, output_format)
    for sentence in said:
        messages.print(sentence)
    messages.print(analysis.views.replace("`", ""))

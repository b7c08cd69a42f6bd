"""The analyses: ``fexp select``."""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.ingest import NetworkOption, StimuliOption
from fexp_store.cli.output import Format, FormatOption, print_frame


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(select)


def select(
    ctx: typer.Context,
    network: NetworkOption,
    layer: Annotated[list[str], typer.Option("--layer", "-l", help="Layer; repeat for several.")],
    stimuli: StimuliOption,
    alpha: Annotated[float, typer.Option(help="Level of both tests; 0.01 in the study.")] = 0.01,
    output_format: FormatOption = Format.table,
) -> None:
    """Find units that respond to expression and not to identity, and store the result.

    Per unit, a two-way analysis of variance without replication, expression x identity; selective
    is p(expression) < alpha and p(identity) > alpha. The column `expected` is the number that alpha
    alone would select. Every unit's F, p and effect sizes are in the SQL view `selectivity`.

    Example:

        fexp select --network dlib_face --layer conv4_3 --stimuli faces
    """
    from fexp_store.analyses.selectivity import select as run

    wh = open_warehouse(ctx)
    found = [(name, run(wh, network, name, stimuli, alpha=alpha)) for name in layer]
    rows = [
        {
            "network": network,
            "layer": name,
            "units": result.units,
            "varying": result.varying,
            "selective": result.selective,
            "expected": round(result.expected, 1),
        }
        for name, result in found
    ]
    print_frame(pl.DataFrame(rows), output_format)
    messages.print("Stored in the view selectivity.")

"""The analyses: ``fexp select`` and ``fexp tune``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import polars as pl
import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.ingest import NetworkOption, StimuliOption
from fexp_store.cli.output import Format, FormatOption, print_frame


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(select)
    app.command()(tune)


def select(
    ctx: typer.Context,
    network: NetworkOption,
    layer: Annotated[list[str], typer.Option("--layer", "-l", help="Layer; repeat for several.")],
    stimuli: StimuliOption,
    alpha: Annotated[float, typer.Option(help="Level of both tests; 0.01 in the study.")] = 0.01,
    factor: Annotated[
        str, typer.Option(help="What units are to be selective for: expression or identity.")
    ] = "expression",
    correction: Annotated[
        str, typer.Option(help="For the number of units: none, fdr_bh or bonferroni.")
    ] = "none",
    permutations: Annotated[
        int, typer.Option(help="Shuffle labels so often, to see what chance selects.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the permutations.")] = 0,
    output_format: FormatOption = Format.table,
) -> None:
    """Find units that respond to expression and not to identity, and store the result.

    Per unit, a two-way analysis of variance without replication, expression x identity; selective
    is p(expression) < alpha and p(identity) > alpha (the other way round with --factor identity).
    The column `expected` is the number that alpha alone would select. With --permutations, labels
    are shuffled within each identity, and mean, central 95% and p of the count are given. Every
    unit's F, p and effect sizes are in the SQL view `selectivity` (`identity_selectivity`).

    Examples
    --------
        fexp select --network dlib_face --layer conv4_3 --stimuli faces --permutations 1000

        fexp select --network dlib_face --layer conv4_3 --stimuli faces
    """
    from fexp_store.analyses.selectivity import TABLES
    from fexp_store.analyses.selectivity import select as run

    wh = open_warehouse(ctx)
    rows = []
    for name in layer:
        found = run(
            wh,
            network,
            name,
            stimuli,
            alpha=alpha,
            factor=factor,
            correction=correction,
            permutations=permutations,
            seed=seed,
        )
        row = {"network": network, "layer": name} | asdict(found)
        shown = ("network", "layer", "units", "varying", "selective", "expected")
        chance = tuple(x for x in row if x.startswith("chance_")) if permutations else ()
        rows.append({x: row[x] for x in shown + chance})
    print_frame(pl.DataFrame(rows).with_columns(pl.col("expected").round(1)), output_format)
    messages.print(f"Stored in the views {TABLES[factor]} and selection.")


def tune(
    ctx: typer.Context,
    network: NetworkOption,
    layer: Annotated[list[str], typer.Option("--layer", "-l", help="Layer; repeat for several.")],
    stimuli: StimuliOption,
    output_format: FormatOption = Format.table,
) -> None:
    """Compute how the units that `fexp select` found are tuned, store it, and count preferences.

    Each unit's responses are z-scored across stimuli and averaged by expression. The SQL view
    `tuning` has all of it.

    Example:

        fexp tune --network dlib_face --layer conv4_3 --stimuli faces
    """
    from fexp_store.analyses.tuning import tune as run

    wh = open_warehouse(ctx)
    frames = [
        run(wh, network, name, stimuli).counts.select(
            pl.lit(network).alias("network"), pl.lit(name).alias("layer"), pl.all()
        )
        for name in layer
    ]
    print_frame(pl.concat(frames), output_format)
    messages.print("Stored in the view tuning.")

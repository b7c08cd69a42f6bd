"""``fexp decode`` and ``fexp confuse``: classifiers of expressions, and people's confusions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import polars as pl
import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.ingest import NetworkOption, StimuliOption
from fexp_store.cli.output import Format, FormatOption, print_frame

LayersOption = Annotated[
    list[str], typer.Option("--layer", "-l", help="Layer; repeat for several.")
]
UnitsOption = Annotated[
    str,
    typer.Option(
        help="selective; all; random: as many, drawn from all that vary; or a file of unit_ids."
    ),
]
SelectedOnOption = Annotated[
    str | None,
    typer.Option(help="Set (or run_id) of `fexp select`; the training set by default."),
]
ComponentsOption = Annotated[int, typer.Option(min=1, help="Principal components; our choice.")]
KernelOption = Annotated[str, typer.Option(help="linear or rbf; our choice.")]
COption = Annotated[float, typer.Option("--C", help="Penalty of errors; our choice.")]
FoldsOption = Annotated[int, typer.Option(min=2, help="Folds over identities; our choice.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of folds, shuffles and random draws.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(decode)
    app.command()(confuse)


def decode(
    ctx: typer.Context,
    network: NetworkOption,
    layer: LayersOption,
    stimuli: StimuliOption,
    units: UnitsOption = "selective",
    selected_on: SelectedOnOption = None,
    components: ComponentsOption = 50,
    kernel: KernelOption = "linear",
    c: COption = 1.0,
    folds: FoldsOption = 10,
    seed: SeedOption = 0,
    shuffles: Annotated[
        int, typer.Option(min=0, help="Repetitions with shuffled labels; our choice.")
    ] = 100,
    output_format: FormatOption = Format.table,
) -> None:
    """Decode expressions from a layer, cross-validated over identities, and store the result.

    Principal components fitted to the training images of each fold, then a support vector
    classifier. The control has labels shuffled within each identity. Folds are in the view
    `decoding`, answers in `predictions`.

    Examples
    --------
        fexp decode --network dlib_face --layer conv4_3 --stimuli faces

        fexp decode --network dlib_face --layer conv4_3 --stimuli faces --units random
    """
    from fexp_store.analyses.decoding import decode as run

    wh = open_warehouse(ctx)
    rows = []
    for name in layer:
        found = run(
            wh,
            network,
            name,
            stimuli,
            units=units,
            selected_on=selected_on,
            components=components,
            kernel=kernel,
            c=c,
            folds=folds,
            seed=seed,
            shuffles=shuffles,
        )
        rows.append({"network": network, "layer": name, "choice": units, **asdict(found)})
    print_frame(pl.DataFrame(rows).drop("run_id"), output_format)
    messages.print("Stored in the views decoding and predictions.")


def confuse(
    ctx: typer.Context,
    network: NetworkOption,
    layer: Annotated[str, typer.Option("--layer", "-l", help="Layer.")],
    stimuli: StimuliOption,
    test: Annotated[
        str | None, typer.Option(help="Set to classify; by default --stimuli, cross-validated.")
    ] = None,
    units: UnitsOption = "selective",
    selected_on: SelectedOnOption = None,
    components: ComponentsOption = 50,
    kernel: KernelOption = "linear",
    c: COption = 1.0,
    folds: FoldsOption = 10,
    seed: SeedOption = 0,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap samples; our choice.")] = 1000,
    output_format: FormatOption = Format.table,
) -> None:
    """Train on one set, classify another, and correlate the confusions with those of people.

    Prints the similarity with each human table of the view `responses` (rows normalised; p by
    relabelling the expressions). Stored in the views `confusion`, `similarity`, `generalisation`
    and `predictions`.

    Example:

        fexp confuse --network dlib_face --layer conv4_3 --stimuli faces --test others
    """
    from fexp_store.analyses.confusion import confuse as run

    found = run(
        open_warehouse(ctx),
        network,
        layer,
        stimuli,
        test,
        units=units,
        selected_on=selected_on,
        components=components,
        kernel=kernel,
        c=c,
        folds=folds,
        seed=seed,
        resamples=resamples,
    )
    print_frame(found.similarity, output_format)
    messages.print(
        f"Accuracy {found.accuracy:.3f} "
        f"({found.low:.3f} to {found.high:.3f} over resampled images)."
    )
    if found.shared_identities:
        messages.print(
            f"{found.shared_identities} identities are in both sets: not all are unseen.",
            style="yellow",
        )

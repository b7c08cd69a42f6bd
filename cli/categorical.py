"""``fexp categorize``: categorical perception of morphs."""

from __future__ import annotations

from typing import Annotated

import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.decoding import (
    ComponentsOption,
    COption,
    FoldsOption,
    KernelOption,
    SeedOption,
    SelectedOnOption,
    UnitsOption,
)
from fexp_store.cli.ingest import NetworkOption, StimuliOption
from fexp_store.cli.output import Format, FormatOption, print_frame


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(categorize)


def categorize(
    ctx: typer.Context,
    network: NetworkOption,
    layer: Annotated[str, typer.Option("--layer", "-l", help="Layer.")],
    stimuli: StimuliOption,
    morphs: Annotated[str, typer.Option(help="Name of the set of morphs.")],
    two_way: Annotated[
        bool, typer.Option("--two-way", help="The classifier knows only the two ends.")
    ] = False,
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
    """Identify morphs by a classifier that knows the prototypes (--stimuli) of other identities.

    Prints the fits of a line, a parabola and a logistic to each continuum. Stored in the views
    `identification`, `discrimination`, `categorical_fit` and `fit_tests`.

    Example:

        fexp categorize --network dlib_face --layer conv4_3 --stimuli faces --morphs morphs
    """
    from fexp_store.analyses.categorical import categorize as run

    found = run(
        open_warehouse(ctx),
        network,
        layer,
        stimuli,
        morphs,
        two_way=two_way,
        units=units,
        selected_on=selected_on,
        components=components,
        kernel=kernel,
        c=c,
        folds=folds,
        seed=seed,
        resamples=resamples,
    )
    print_frame(found.fits.drop("parameters"), output_format)
    for row in found.tests.filter(test="t", model_a="logistic").iter_rows(named=True):
        if row["p"] is not None:
            messages.print(
                f"R2 of logistic minus {row['model_b']}: {row['difference']:.3f}, paired t "
                f"{row['statistic']:.2f}, p {row['p_holm']:.3g} (Holm), {row['n']} continua."
            )

"""``fexp ingest``: run a network on a stimulus set and store its activations."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import polars as pl
import typer

from fexp_store import Warehouse
from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.options import LayerPatternsOption, NetworkOption, StimuliOption, takes
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.cli.progress import bar
from fexp_store.ingest import Options
from fexp_store.ingest import ingest as run_ingest


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(ingest)


@takes(Options)
def ingest(
    ctx: typer.Context,
    network: NetworkOption,
    layer: LayerPatternsOption,
    stimuli: StimuliOption,
    options: Options,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be run, stored and needed.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only say of each fragment if it is stored, and why.")
    ] = False,
    output_format: FormatOption = Format.table,
) -> None:
    """Run a network on a stimulus set and store the activations of some layers.

    What is stored already is skipped. After an interruption, run the same command again.

    Examples
    --------
        fexp ingest --network dlib_face --layer conv4_3 --layer embedding --stimuli faces

        fexp ingest --network resnet50 --layer 'layer4.*' --stimuli faces

        fexp ingest --network dlib_face --layer conv1 --stimuli faces --dry-run
    """
    wh = open_warehouse(ctx)
    if dry_run or explain:
        _only_say(wh, network, layer, stimuli, options, explain, output_format)
        return
    with bar(f"{network} on {stimuli}") as started:
        done = run_ingest(wh, network, layer, stimuli, options, started=started)
    if done.stimuli == 0:
        messages.print(
            f"Everything is stored already: {network} {', '.join(layer)} for {stimuli}; "
            "no forward pass was run and nothing was written."
        )
    else:
        messages.print(
            f"Ran {done.stimuli} stimuli through {network}; stored {done.fragments} fragments, "
            f"{done.bytes / 1e6:.1f} MB."
        )
    if done.nonfinite:
        messages.print(
            f"{done.nonfinite} activations are not finite; analyses leave their units out."
        )


def _only_say(
    wh: Warehouse,
    network: str,
    layers: list[str],
    stimuli: str,
    options: Options,
    why: bool,
    output_format: Format,
) -> None:
    from fexp_store.ingest.explain import explain
    from fexp_store.ingest.preflight import check_disk, peak_memory, preflight
    from fexp_store.ingest.request import prepare

    prepared = prepare(wh, network, layers, stimuli, options)
    if why:
        print_frame(explain(wh, prepared), output_format)
        return
    found = preflight(wh, prepared)
    row = asdict(found) | {"peak_memory_bytes": peak_memory(wh, prepared)}
    print_frame(pl.DataFrame([row]).unpivot(variable_name="what"), output_format)
    check_disk(wh, found)

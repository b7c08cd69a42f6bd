"""``fexp import``: activations that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.options import LayerOption, NetworkOption, StimuliOption, takes
from fexp_store.warehouse.exchange.declared import Options
from fexp_store.warehouse.place import Place


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("import")(import_)


@takes(Options)
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An .npy, .npz, .mat, .h5, .zarr or .parquet file.")],
    network: NetworkOption,
    layer: LayerOption,
    stimuli: StimuliOption,
    options: Options,
) -> None:
    """Store activations that were made elsewhere, for a whole registered stimulus set.

    The file holds a matrix of stimuli x units (or stimuli x C x H x W), in the order of the set or
    labelled by stimulus_id or image_sha256. All of it is checked, and becomes visible at once.

    Examples
    --------
        fexp import conv5.npy --network theirs --layer conv5 --stimuli faces --source "MatConvNet"

        fexp import all.mat --array conv5 --axes HWCN --network theirs --layer conv5 -s faces
    """
    from fexp_store.warehouse.exchange.put import put

    wh = open_warehouse(ctx)
    done = put(wh, Place(network, layer, stimuli), file, options)
    what = f"{done.stimuli} stimuli x {done.units} units of {network} {layer} for {stimuli}"
    if done.fragments == 0:
        messages.print(f"Stored already: {what}; nothing was written.", markup=False)
    else:
        messages.print(f"Stored {what}: {done.bytes / 1e6:.1f} MB.", markup=False)

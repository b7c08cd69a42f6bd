"""``fexp import`` and ``fexp export``: activations from and to elsewhere."""

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
    app.command()(export)


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


def export(
    ctx: typer.Context,
    network: NetworkOption,
    layer: LayerOption,
    stimuli: StimuliOption,
    to: Annotated[Path, typer.Option(help="A new file: .npz, .npy, .nc, .parquet or .csv.")],
    units: Annotated[
        str, typer.Option(help="all, selective (see `fexp select`) or a file of unit_ids.")
    ] = "all",
) -> None:
    """Write the activations of a layer, with labels of stimuli and units, for other programs.

    .npz and .nc hold a matrix of stimuli x units and an array for each label (.npy has none);
    .parquet and .csv hold a row a unit and stimulus.

    Examples
    --------
        fexp export --network dlib_face --layer conv4_3 --stimuli faces --to conv4_3.nc

        fexp export -n dlib_face -l conv4_3 -s faces --units selective --to selective.csv
    """
    wh, place = open_warehouse(ctx), Place(network, layer, stimuli)
    chosen = None
    if units != "all":
        from fexp_store.analyses.reading.units import UnitSource, choose_units, reads

        options = UnitSource(units=units)
        (chosen,) = choose_units(wh, place, options, reads(wh, place, options))
    wh.export(*place, to, chosen)
    messages.print(f"Wrote {to}.", markup=False)

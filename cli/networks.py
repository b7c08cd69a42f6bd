"""``fexp networks``: register and list networks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import polars as pl
import typer

from fexp_store import schemas
from fexp_store.cli.app import Commands, messages, open_warehouse
from fexp_store.cli.options import takes
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.networks.records import Options
from fexp_store.warehouse.networks import registered

networks = typer.Typer(cls=Commands, no_args_is_help=True, help="Networks.")

NetworkArgument = Annotated[
    str, typer.Argument(metavar="NETWORK", help="Short name of the network.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(networks, name="networks")


@networks.command()
@takes(Options)
def add(ctx: typer.Context, name: NetworkArgument, options: Options) -> None:
    """Register a network.

    Examples
    --------
        fexp networks add dlib_face

        fexp networks add dlib_face_untrained --architecture dlib_face --untrained --seed 0

        fexp networks add vgg_face --weights vgg_face_dag.pth

        fexp networks add untrained --architecture dlib_face --untrained --seeds 20
    """
    from fexp_store.networks import registry

    wh = open_warehouse(ctx)
    new = registry.add(wh, name, options)
    if options.seeds is not None:
        there = list(options.members(name))
        what = "Registered" if new else "Registered already:"
        messages.print(f"{what} {there[0]} to {there[-1]}, {len(there)} networks of {name}.")
        return
    row = registered(wh, name)
    found = list(row.all_layers())
    messages.print(
        f"Registered {name}: {len(found)} layers, {found[0]} to {found[-1]}."
        if new
        else f"{name} is registered already; nothing to do."
    )
    if row.architecture in ("vgg_face", "vgg16") and "fc6" not in found:
        messages.print("The file holds the convolutions only: fc6, fc7 and fc8 are not available.")


@networks.command("list")
def list_networks(ctx: typer.Context, output_format: FormatOption = Format.table) -> None:
    """List the registered networks.

    Example:

        fexp networks list
    """
    print_frame(open_warehouse(ctx).frame(schemas.sql("queries")["network_list"]), output_format)


@networks.command()
def show(
    ctx: typer.Context, name: NetworkArgument, output_format: FormatOption = Format.table
) -> None:
    """Show what is registered about a network.

    Example:

        fexp networks show dlib_face
    """
    wh = open_warehouse(ctx)
    network = registered(wh, name)
    row = asdict(network) | {"layers": ", ".join(network.all_layers())}
    rows = [{"what": key, "value": "" if row[key] is None else str(row[key])} for key in row]
    print_frame(pl.DataFrame(rows), output_format)


@networks.command()
def layers(
    ctx: typer.Context, name: NetworkArgument, output_format: FormatOption = Format.table
) -> None:
    """List the layers of a network: shape, units and MB that a stimulus takes uncompressed.

    Example:

        fexp networks layers dlib_face
    """
    wh = open_warehouse(ctx)
    registered(wh, name)
    print_frame(wh.frame(schemas.sql("queries")["network_layers"], network=name), output_format)

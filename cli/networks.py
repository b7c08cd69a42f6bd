"""``fexp networks``: register and list networks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from fexp_store import BadInput, schemas
from fexp_store.cli.app import Commands, messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame

networks = typer.Typer(cls=Commands, no_args_is_help=True, help="Networks.")

NetworkArgument = Annotated[
    str, typer.Argument(metavar="NETWORK", help="Short name of the network.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(networks, name="networks")


@networks.command()
def add(
    ctx: typer.Context,
    name: NetworkArgument,
    architecture: Annotated[
        str | None, typer.Option(help="Architecture; by default that of the same name.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file; by default the one a package ships.")
    ] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Draw the weights.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of untrained weights.")] = 0,
    init: Annotated[
        str,
        typer.Option(
            help="How untrained weights are drawn: kaiming_normal, xavier_normal, lecun_normal "
            "or gaussian:SD."
        ),
    ] = "kaiming_normal",
    preprocessing: Annotated[
        str | None,
        typer.Option(help="Change fields of the preprocessing, as JSON: '{\"size\": 160}'."),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Name shared by replicates; by default the network's own.")
    ] = None,
) -> None:
    """Register a network.

    Examples
    --------
        fexp networks add dlib_face

        fexp networks add dlib_face_untrained --architecture dlib_face --untrained --seed 0

        fexp networks add vgg_face --weights vgg_face_dag.pth
    """
    from fexp_store.networks import registry
    from fexp_store.networks.records import registered

    wh = open_warehouse(ctx)
    new = registry.add(
        wh,
        name,
        architecture or name,
        weights=weights,
        untrained=registry.Untrained(seed, init) if untrained else None,
        group=group,
        preprocessing=_json_object(preprocessing),
    )
    row = registered(wh, name)
    found = list(row.all_layers())
    messages.print(
        f"Registered {name}: {len(found)} layers, {found[0]} to {found[-1]}."
        if new
        else f"{name} is registered already; nothing to do."
    )
    if row.architecture in ("vgg_face", "vgg16") and "fc6" not in found:
        messages.print("The file holds the convolutions only: fc6, fc7 and fc8 are not available.")


def _json_object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadInput(f"--preprocessing is no JSON: {error}.") from None
    if not isinstance(value, dict):
        raise BadInput('--preprocessing is a JSON object, for example {"size": 160}.')
    return value


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
    from fexp_store.networks.records import registered

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
    from fexp_store.networks.records import registered

    wh = open_warehouse(ctx)
    registered(wh, name)
    print_frame(wh.frame(schemas.sql("queries")["network_layers"], network=name), output_format)

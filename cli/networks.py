"""``fexp networks``: register and list networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from fexp_store.cli.app import Commands, messages, open_warehouse
from fexp_store.cli.output import Format, FormatOption, print_frame

from fexp_store import schemas

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

    new = registry.add(
        open_warehouse(ctx),
        name,
        architecture or name,
        weights=weights,
        untrained=registry.Untrained(seed, init) if untrained else None,
        group=group,
    )
    messages.print(
        f"Registered {name}." if new else f"{name} is registered already; nothing to do."
    )


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
    """List the layers of a network: shape, units and MB that a stimulus takes uncompressed.

    Example:

        fexp networks show dlib_face
    """
    from fexp_store.networks.records import registered

    wh = open_warehouse(ctx)
    registered(wh, name)
    print_frame(wh.frame(schemas.sql("queries")["network_layers"], network=name), output_format)

"""``fexp compare``: networks side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from fexp_store.cli.app import messages, open_warehouse
from fexp_store.cli.decoding import UnitsOption
from fexp_store.cli.ingest import StimuliOption
from fexp_store.cli.output import Format, FormatOption, print_frame


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(compare)


def compare(
    ctx: typer.Context,
    networks: Annotated[
        list[str], typer.Argument(metavar="NETWORK:LAYER...", help="Two networks or more.")
    ],
    stimuli: StimuliOption,
    units: UnitsOption = "selective",
    two_way: Annotated[
        bool, typer.Option("--two-way", help="Compare two-way identifications.")
    ] = False,
    output_format: FormatOption = Format.table,
) -> None:
    """Test the stored results of several networks against one another, and store the outcome.

    Networks of one group (seeds of an untrained network) count as replicates. Different
    architectures differ in more than their training: the fair contrast is a network and its
    untrained twin. Stored in the view `comparison`.

    Example:

        fexp compare dlib_face:conv4_3 dlib_face_untrained:conv4_3 --stimuli faces
    """
    from fexp_store.analyses.comparison import compare as run
    from fexp_store.errors import BadInput

    places = [tuple(name.split(":", 1)) for name in networks]
    if any(len(place) != 2 for place in places):
        raise BadInput("Give each network with its layer, for example dlib_face:conv4_3.")
    found = run(
        open_warehouse(ctx),
        [(place[0], place[1]) for place in places],
        stimuli,
        units=units,
        two_way=two_way,
    )
    print_frame(found, output_format)
    messages.print("Stored in the view comparison.")

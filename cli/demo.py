"""``fexp demo``: the whole chain on rendered faces, from images to an answer."""

from __future__ import annotations

import shlex

import typer

from fexp_store import Warehouse
from fexp_store.cli.app import Settings, messages
from fexp_store.cli.output import Format, FormatOption, print_frame
from fexp_store.cli.progress import bar


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(demo)


def demo(ctx: typer.Context, output_format: FormatOption = Format.table) -> None:
    """Render faces, run three networks on them, and find units selective for expression.

    Makes the warehouse if there is none; run again, it does only what is missing. The faces are
    rendered, and dlib's face network stands in for VGG-Face, whose weights cannot be shipped.

    Example:

        fexp -w warehouse demo
    """
    from fexp_store.study.demo import SHOWN, STIMULI, run_demo

    settings = ctx.obj
    assert isinstance(settings, Settings)
    wh = Warehouse.open_or_create(settings.warehouse)
    found = run_demo(wh, bar)
    print_frame(found.summary, output_format)
    network, layer = SHOWN
    if found.sheet is not None:
        where = shlex.quote(str(settings.warehouse))
        unit = found.unit.row(0, named=True)
        messages.print(
            f"Most selective unit of {network} {layer}: {unit['unit_id']}, which prefers "
            f"{unit['preferred_expression']} (partial eta squared of expression "
            f"{unit['eta_squared_expression']:.2f}).",
            f"The images that drive it most: {found.sheet}",
            f'Next: fexp -w {where} sql "FROM top_stimuli'
            f"('{network}', '{layer}', {unit['unit_id']}, 10)\"",
            f"or:   cd {where} && duckdb -readonly catalog.duckdb "
            f"\"FROM expression_anova('{network}', '{layer}', '{STIMULI}')\"",
            sep="\n",
        )

"""Running a study: what is missing of its sets, networks, activations and analyses, in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from fexp_store.errors import BadInput, FexpError
from fexp_store.networks import records
from fexp_store.options import describe
from fexp_store.progress import Bar
from fexp_store.study.file import DeclaredNetwork, Study
from fexp_store.study.layers import check_layers
from fexp_store.study.sets import check_declared
from fexp_store.study.steps import Step, Token, analyses, preparations
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import Registered, has_network, registered

_STEPS = {"step": pl.String, "done": pl.Boolean, "why": pl.String}


def check(wh: Warehouse, study: Study) -> pl.DataFrame:
    """Check a study against a warehouse and say what is done and what is missing.

    Returns
    -------
    DataFrame
        step, done, why: for what is not done, whether it was never run, or which run stands and
        how it differs.

    Raises
    ------
    BadInput
        If a set or a network is neither declared in full nor registered, or registered as another
        one, a file is not there, or a network has not the layers; the message gives the line.
    """
    _check_declarations(wh, study)
    rows: list[tuple[str, bool, str | None]] = []
    missing: set[Token] = set()
    for step in (*preparations(wh, study), *analyses(wh, study)):
        why = step.missing()
        if why is None and missing & step.reads():
            why = "reads what is missing above"
        if why is not None:
            missing |= step.makes()
        rows.append((step.what, why is None, why))
    return pl.DataFrame(rows, schema=_STEPS, orient="row")


def run_study(wh: Warehouse, study: Study, bar: Bar) -> pl.DataFrame:
    """Run what is missing of a study, after checking all of it.

    Several processes may run one study at once: each step is done by one of them.

    Parameters
    ----------
    bar : callable
        Makes a progress bar with a label.

    Returns
    -------
    DataFrame
        step, ran: whether it was missing.
    """
    _check_declarations(wh, study)
    rows = prepare(wh, study, bar) + analyse(wh, study, bar)
    return pl.DataFrame(rows, schema={"step": pl.String, "ran": pl.Boolean}, orient="row")


def prepare(wh: Warehouse, study: Study, bar: Bar) -> list[tuple[str, bool]]:
    """Make the missing sets, networks and activations; return each step and whether it ran."""
    return [_ensure(wh, step, bar) for step in preparations(wh, study)]


def analyse(wh: Warehouse, study: Study, bar: Bar) -> list[tuple[str, bool]]:
    """Run the missing analyses; return each step and whether it ran."""
    steps = list(analyses(wh, study))
    rows = []
    with bar("Running analyses") as started:
        advance = started(len(steps))
        for step in steps:
            rows.append(_ensure(wh, step, bar))
            advance(1)
    return rows


def _ensure(wh: Warehouse, step: Step, bar: Bar) -> tuple[str, bool]:
    if step.missing() is None:
        return step.what, False
    with wh.storage.lock(step.what):  # another process may be at it: then wait, and ask again
        missing = step.missing() is not None
        if missing:
            step.run(bar)
    return step.what, missing


def _check_declarations(wh: Warehouse, study: Study) -> None:
    for declared in study.sets:
        check_declared(wh, declared)
    for network in study.networks:
        _check_network(wh, network)
    for analysis in study.analyses:
        for option in describe(type(analysis.options)):
            value = getattr(analysis.options, option.name)
            if not option.is_file(value):
                continue
            if not Path(value).is_file():
                name = f"{option.name} {Path(value).name}"
                raise BadInput(f"{analysis.where}: The file of {name} does not exist.")
            try:
                option.recorded(value)  # which reads it, where its content counts
            except FexpError as error:
                raise BadInput(f"{analysis.where}: {error}") from None


def _check_network(wh: Warehouse, network: DeclaredNetwork) -> None:
    try:
        if has_network(wh, network.name):
            _check_same(registered(wh, network.name), network.options)
        check_layers(wh, network)
    except FexpError as error:
        raise BadInput(f"{network.where}: {error}") from None


def _check_same(row: Registered, options: records.Options) -> None:
    """Check that a registered network is what the study declares, as far as that is cheap to tell.

    Weights are not read again, and what is left out of a declaration may be anything.
    """
    declared = {
        "network_group": options.group,
        "licence": options.licence,
        "citation": options.citation,
        "architecture": None if _is_own_file(row, options) else options.architecture,
        "training": "none" if options.untrained or options.permuted else options.training,
        "seed": options.seed if options.untrained or options.permuted else None,
        "weights_source": f"untrained:{options.init}" if options.untrained else None,
    }
    said: dict[str, Any] = {name: value for name, value in declared.items() if value is not None}
    if replace(row, **said) != row:
        raise BadInput(
            f"A network {row.network} with other content is registered already; "
            "networks never change, so choose another name."
        )


def _is_own_file(row: Registered, options: records.Options) -> bool:
    """Whether a study names the user's file that a network was registered with."""
    from fexp_store.networks.architectures.own_file import is_same

    wanted = options.architecture
    return wanted is not None and ".py" in wanted and is_same(wanted, row.architecture)

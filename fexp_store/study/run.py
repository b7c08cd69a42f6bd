"""Running a study: what is missing of its sets, networks, activations and analyses, in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from fexp_store import schemas
from fexp_store.analyses.classifier import Classifier
from fexp_store.analyses.options import check_options
from fexp_store.analyses.units import CHOICES, units_name
from fexp_store.errors import BadInput, FexpError, NotFound
from fexp_store.ingest import Options, ingest
from fexp_store.networks import registry
from fexp_store.networks.architectures import architecture
from fexp_store.networks.records import Registered, registered
from fexp_store.networks.registry import Untrained
from fexp_store.report.bars import Bar
from fexp_store.report.study_file import ANALYSES, SET_KEYS, Section, Study, options_of
from fexp_store.report.study_sets import check_set, has_set, make_set
from fexp_store.warehouse import Warehouse, tables


@dataclass(frozen=True)
class Step:
    """One thing that a study needs.

    Parameters
    ----------
    what : str
        For people: ``decode dlib_face conv4_3 on faces``.
    done : callable
        Whether the warehouse has it.
    run : callable
        Does it; given what makes a progress bar (analyses share one, and make none).
    """

    what: str
    done: Callable[[], bool]
    run: Callable[[Bar], Any]


def check(wh: Warehouse, study: Study) -> pl.DataFrame:
    """Check a study against a warehouse and say what is done and what is missing.

    Returns
    -------
    DataFrame
        step, done.

    Raises
    ------
    BadInput
        If a set or a network is neither declared in full nor registered, or registered as another
        one, a file is not there, a network has not the layers, or an option is out of range; the
        message gives the line.
    """
    for section in study.sets:
        check_set(wh, study, section)
    for section in study.networks:
        _check_network(wh, study, section)
    for section in study.analyses:
        _check_analysis(study, section)
    steps = (*_preparations(wh, study), *_analyses(wh, study))
    rows = [(step.what, step.done()) for step in steps]
    return pl.DataFrame(rows, schema={"step": pl.String, "done": pl.Boolean}, orient="row")


def run_study(wh: Warehouse, study: Study, bar: Bar) -> pl.DataFrame:
    """Run what is missing of a study, after checking all of it.

    Parameters
    ----------
    bar : callable
        Makes a progress bar with a label.

    Returns
    -------
    DataFrame
        step, ran: whether it was missing.
    """
    check(wh, study)
    rows = prepare(wh, study, bar) + analyse(wh, study, bar)
    return pl.DataFrame(rows, schema={"step": pl.String, "ran": pl.Boolean}, orient="row")


def prepare(wh: Warehouse, study: Study, bar: Bar) -> list[tuple[str, bool]]:
    """Make the missing sets, networks and activations; return each step and whether it ran."""
    return [_ensure(step, bar) for step in _preparations(wh, study)]


def analyse(wh: Warehouse, study: Study, bar: Bar) -> list[tuple[str, bool]]:
    """Run the missing analyses; return each step and whether it ran."""
    steps = list(_analyses(wh, study))
    rows = []
    with bar("Running analyses") as started:
        advance = started(len(steps))
        for step in steps:
            rows.append(_ensure(step, bar))
            advance(1)
    return rows


def _ensure(step: Step, bar: Bar) -> tuple[str, bool]:
    missing = not step.done()
    if missing:
        step.run(bar)
    return step.what, missing


def _preparations(wh: Warehouse, study: Study) -> Iterator[Step]:
    """Sets, networks and activations, in an order in which they can be made."""
    for section in study.sets:
        name = section.values["name"]
        yield Step(f"set {name}", partial(has_set, wh, name), partial(make_set, wh, study, section))
    for section in study.networks:
        name = section.values["name"]
        yield Step(
            f"network {name}", partial(_has_network, wh, name), partial(_add, wh, study, section)
        )
    used = _used_sets(study)
    for section in study.networks:
        name, layers = section.values["name"], section.values["layers"]
        for stimulus_set in used.get(name, []):
            yield Step(
                f"ingest {name} {', '.join(layers)} on {stimulus_set}",
                partial(_stored, wh, name, layers, stimulus_set),
                partial(_ingest, wh, name, layers, stimulus_set),
            )


def _analyses(wh: Warehouse, study: Study) -> Iterator[Step]:
    for section in study.analyses:
        yield from _analysis_steps(wh, study, section)


def _analysis_steps(wh: Warehouse, study: Study, section: Section) -> Iterator[Step]:
    values, options = section.values, _options(study, section)
    kind = values["run"]
    given = {name: values[key] for key, name in SET_KEYS.items() if key in values}
    places = [
        (network.values["name"], layer)
        for network in _networks(study, section)
        for layer in network.values["layers"]
    ]
    sets = ", ".join(given.values())
    if kind == "compare":
        expected = {**given, **options, "networks": sorted(f"{n}:{layer}" for n, layer in places)}
        call = partial(ANALYSES[kind], wh, places, **given, **options)
        what = f"compare {len(places)} layers on {sets}"
        yield Step(what, partial(_has_run, wh, kind, expected), partial(_call, call))
        return
    for network, layer in places:
        place = {"network": network, "layer": layer}
        call = partial(ANALYSES[kind], wh, **place, **given, **options)
        what = f"{kind} {network} {layer} on {sets}"
        expected = {**place, **given, **options}
        yield Step(what, partial(_has_run, wh, kind, expected), partial(_call, call))


def _call(analysis: Callable[[], Any], _bar: Bar) -> None:
    analysis()


def _options(study: Study, section: Section) -> dict[str, Any]:
    """All options of an analysis; a file of units is relative to the study file."""
    options = options_of(section.values)
    if options.get("units", CHOICES[0]) not in CHOICES:
        options["units"] = str(study.directory / options["units"])
    return options


def _networks(study: Study, section: Section) -> list[Section]:
    wanted = section.values.get("networks")
    return [n for n in study.networks if wanted is None or n.values["name"] in wanted]


def _used_sets(study: Study) -> dict[str, list[str]]:
    """Which sets each network is run on: those of the analyses that it takes part in."""
    used: dict[str, list[str]] = {}
    for section in study.analyses:
        sets = [section.values[key] for key in SET_KEYS if key in section.values]
        for network in _networks(study, section):
            known = used.setdefault(network.values["name"], [])
            known.extend(name for name in sets if name not in known)
    return used


def _has_run(wh: Warehouse, kind: str, expected: dict[str, Any]) -> bool:
    """Whether a finished run had these parameters, and nothing it read was made anew since."""
    if kind == "confuse":
        expected = {"test_set": expected["stimulus_set"], **expected}
    if "units" in expected:
        expected = expected | {"units": units_name(expected["units"])}
    if expected.get("selected_on", "") is None:
        expected = expected | {"selected_on": expected["stimulus_set"]}
    rows = wh.frame(schemas.sql("queries")["finished_runs"], kind=kind)
    for row in rows.iter_rows(named=True):
        parameters = json.loads(row["parameters"])
        if all(parameters.get(key) == value for key, value in expected.items()):
            later = {"run_id": row["run_id"], "name": expected["stimulus_set"], "kind": kind}
            return not wh.frame(schemas.sql("queries")["runs_since"], **later).item()
    return False


def _has_network(wh: Warehouse, name: str) -> bool:
    return not tables.read(wh.storage, "networks").filter(network=name).is_empty()


def _add(wh: Warehouse, study: Study, section: Section, _bar: Bar) -> None:
    values = section.values
    registry.add(
        wh,
        values["name"],
        values.get("architecture", values["name"]),
        weights=study.directory / values["weights"] if "weights" in values else None,
        untrained=Untrained(values.get("seed", 0)) if values.get("untrained") else None,
        group=values.get("group"),
    )


def _stored(wh: Warehouse, network: str, layers: list[str], stimulus_set: str) -> bool:
    query = schemas.sql("queries")["stored_stimuli"]
    counts = [
        wh.frame(query, network=network, layer=layer, stimulus_set=stimulus_set).row(0)
        for layer in layers
    ]
    return all(stored == in_set > 0 for stored, in_set in counts)


def _ingest(wh: Warehouse, network: str, layers: list[str], stimulus_set: str, bar: Bar) -> None:
    with bar(f"Running {network} on {stimulus_set}") as started:
        ingest(wh, network, layers, stimulus_set, Options(), started=started)


def _check_network(wh: Warehouse, study: Study, section: Section) -> None:
    values = section.values
    try:
        if _has_network(wh, values["name"]):
            row = registered(wh, values["name"])
            known = list(row.all_layers())
            _check_same(row, values)
        else:
            known = list(architecture(values.get("architecture", values["name"])).layers)
            weights = values.get("weights")
            if weights is not None and not (study.directory / weights).is_file():
                raise NotFound(f"The weights file {weights} does not exist.")
    except FexpError as error:
        raise BadInput(f"{section.where}: {error}") from None
    for layer in values["layers"]:
        if layer not in known and layer.removesuffix(":pre") not in known:
            raise BadInput(f"{section.where}: {values['name']} has no layer {layer!r}.")


def _check_same(row: Registered, values: dict[str, Any]) -> None:
    """Check that a registered network is what the study declares, as far as that is cheap to tell.

    Weights are not read again.
    """
    untrained = values.get("untrained", False)
    same = (
        values.get("architecture", row.architecture) == row.architecture
        and values.get("group", row.network_group) == row.network_group
        and ("untrained" not in values or untrained == (row.training == "none"))
        and (not untrained or values.get("seed", 0) == row.seed)
    )
    if not same:
        raise BadInput(
            f"A network {row.network} with other content is registered already; "
            "networks never change, so choose another name."
        )


def _check_analysis(study: Study, section: Section) -> None:
    options = _options(study, section)
    try:
        check_options(**options)
        if "kernel" in options:
            Classifier(options["components"], options["kernel"], options["c"])
        if options.get("units", CHOICES[0]) not in CHOICES and not Path(options["units"]).is_file():
            raise NotFound(f"The file of units {section.values['units']} does not exist.")
    except FexpError as error:
        raise BadInput(f"{section.where}: {error}") from None

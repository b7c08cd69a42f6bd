"""The steps of a study: what it needs, whether the warehouse has it, and what makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fexp_store import schemas
from fexp_store.analyses.analysis import On
from fexp_store.ingest import ingest
from fexp_store.options import describe
from fexp_store.progress import Bar
from fexp_store.stimuli.sets import stored_set
from fexp_store.study.file import DeclaredAnalysis, DeclaredNetwork, Study
from fexp_store.study.sets import make_declared
from fexp_store.warehouse import Warehouse, runs
from fexp_store.warehouse.networks import has_network
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Finished

Token = str | tuple[str, str, str]
"""A run by its id or, where there is none yet, kind, network and layer."""


@dataclass(frozen=True)
class Step:
    """One thing that a study needs.

    Parameters
    ----------
    what : str
        For people: ``decode dlib_face conv4_3 on faces``.
    missing : callable
        Why it must be run, for people; None if the warehouse has it.
    run : callable
        Does it; given what makes a progress bar (analyses share one, and make none).
    makes, reads : callable
        Tokens of the results that it would make anew, and of those that it reads: an analysis that
        reads what is missing is missing too.
    """

    what: str
    missing: Callable[[], str | None]
    run: Callable[[Bar], Any]
    makes: Callable[[], set[Token]] = set
    reads: Callable[[], set[Token]] = set


def preparations(wh: Warehouse, study: Study) -> Iterator[Step]:
    """Sets, networks and activations, in an order in which they can be made."""
    for declared in study.sets:
        missing = partial(_unless, stored_set, wh, declared.name)
        yield Step(f"set {declared.name}", missing, partial(make_declared, wh, declared))
    for network in study.networks:
        missing = partial(_unless, has_network, wh, network.name)
        yield Step(f"network {network.name}", missing, partial(_add, wh, network))
    for network in study.networks:
        for stimulus_set in _sets_of(study, network):
            yield Step(
                f"ingest {network.name} {', '.join(network.layers)} on {stimulus_set}",
                partial(_unless, _stored, wh, network, stimulus_set),
                partial(_ingest, wh, network, stimulus_set),
            )


def analyses(wh: Warehouse, study: Study) -> Iterator[Step]:
    """Every analysis of every layer."""
    for declared in study.analyses:
        places = [
            Place(network.name, layer, declared.stimuli)
            for network in study.networks
            if declared.takes(network)
            for layer in network.layers
        ]
        sets = ", ".join(declared.sets)
        name = declared.analysis.name
        if declared.analysis.compares:
            yield _analysis(wh, declared, f"{name} {len(places)} layers on {sets}", places)
            continue
        for place in places:
            yield _analysis(wh, declared, f"{name} {place.network} {place.layer} on {sets}", place)


def _analysis(wh: Warehouse, declared: DeclaredAnalysis, what: str, on: On) -> Step:
    return Step(
        what,
        partial(_out_of_date, wh, declared, on),
        lambda _bar: declared.analysis.run(wh, on, declared.options),
        partial(_makes, wh, declared, on),
        partial(_reads, wh, declared, on),
    )


def _standing(
    wh: Warehouse, declared: DeclaredAnalysis, on: On
) -> tuple[Finished | None, dict[str, Any]]:
    """Return the run that counts, and the parameters that the study wants it to have."""
    wanted = declared.analysis.parameters(wh, on, declared.options)
    key = declared.analysis.key(wanted)
    return runs.newest(wh, declared.analysis.name, key), wanted


def _out_of_date(wh: Warehouse, declared: DeclaredAnalysis, on: On) -> str | None:
    """Say why an analysis must be run: done is what the run that counts has done just so."""
    standing, wanted = _standing(wh, declared, on)
    if standing is None:
        return "never run"
    reads = declared.analysis.reads(wh, on, declared.options)
    options = {name: value for name, value in wanted.items() if name not in reads}
    defaults = {option.name: option.default for option in describe(declared.analysis.options)}
    differences = runs.differences(standing, options, defaults)
    if runs.differences(standing, reads):
        differences.append("what it read made anew since")
    if not differences:
        return None
    return (
        f"run {standing.run_id[:8]} of {standing.started:%Y-%m-%d %H:%M} stands, with "
        f"{'; '.join(differences)}; running this replaces it in the views"
    )


def _makes(wh: Warehouse, declared: DeclaredAnalysis, on: On) -> set[Token]:
    standing, _ = _standing(wh, declared, on)
    if standing is not None:
        return {standing.run_id}
    places = [on] if isinstance(on, Place) else on
    return {(declared.analysis.name, place.network, place.layer) for place in places}


def _reads(wh: Warehouse, declared: DeclaredAnalysis, on: On) -> set[Token]:
    found: set[Token] = set()
    for value in declared.analysis.reads(wh, on, declared.options).values():
        found |= set(value) if isinstance(value, list) else {value}
    places = [] if isinstance(on, Place) else on
    kinds = declared.analysis.compares
    return found | {(kind, p.network, p.layer) for kind in kinds for p in places}


def _unless(there: Callable[..., object], *arguments: Any) -> str | None:
    return None if there(*arguments) else "not there"


def _sets_of(study: Study, network: DeclaredNetwork) -> list[str]:
    """Return the sets that a network is run on: those of the analyses that it takes part in."""
    used = [
        name for declared in study.analyses if declared.takes(network) for name in declared.sets
    ]
    return list(dict.fromkeys(used))


def _add(wh: Warehouse, network: DeclaredNetwork, _bar: Bar) -> None:
    # torch takes seconds to import, and a network that is there already needs none.
    from fexp_store.networks import registry

    registry.add(wh, network.name, replace(network.options, seeds=None))


def _stored(wh: Warehouse, network: DeclaredNetwork, stimulus_set: str) -> bool:
    query = schemas.sql("queries")["stored_stimuli"]
    counts = [
        wh.frame(query, **Place(network.name, layer, stimulus_set).columns).row(0)
        for layer in network.layers
    ]
    return all(stored == in_set > 0 for stored, in_set in counts)


def _ingest(wh: Warehouse, network: DeclaredNetwork, stimulus_set: str, bar: Bar) -> None:
    with bar(f"Running {network.name} on {stimulus_set}") as started:
        ingest(wh, network.name, network.layers, stimulus_set, network.ingest, started=started)

"""A study file: sets, networks, analyses and claims in TOML, checked before anything runs."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from fexp_store import ingest
from fexp_store.analyses import ANALYSES, analysis
from fexp_store.analyses.analysis import SETS, Analysis
from fexp_store.errors import BadInput
from fexp_store.given import check_depth, read_text
from fexp_store.networks import records
from fexp_store.options import record
from fexp_store.outputs import writing
from fexp_store.study.claims import DeclaredClaim, claim_of
from fexp_store.study.section import Lines, Section, sections_of
from fexp_store.study.sets import DeclaredSet, set_of

Names = Annotated[tuple[str, ...], Meta(min_length=1)]


@record
class _Network:
    """What a ``[[networks]]`` section says beside the options of the network."""

    name: Annotated[str, Meta(description="short name of the network.")]
    layers: Annotated[Names, Meta(description="layers that are ingested.")]
    ingest: Annotated[
        dict[str, Any] | None, Meta(description="options of `fexp ingest`, in braces.")
    ] = None


@record
class _Analysis:
    """What an ``[[analyses]]`` section says beside the options of the analysis."""

    run: Annotated[str, Meta(description="which analysis.")]
    stimuli: Annotated[str, Meta(description="the set that it is run on.")]
    networks: Annotated[Names | None, Meta(description="networks; by default all.")] = None


@dataclass(frozen=True)
class DeclaredNetwork:
    """A network of a study, its layers, and how they are ingested.

    Its section declares it by its own name, or with `seeds` by that of its group.
    """

    name: str
    declared: str
    layers: tuple[str, ...]
    options: records.Options
    ingest: ingest.Options
    where: str


@dataclass(frozen=True)
class DeclaredAnalysis:
    """An analysis of a study; without networks, of all."""

    analysis: Analysis
    stimuli: str
    networks: tuple[str, ...] | None
    options: Any
    where: str

    @property
    def sets(self) -> list[str]:
        """Names of the sets that it reads, its own first."""
        named = [getattr(self.options, name) for name in SETS if hasattr(self.options, name)]
        return [self.stimuli, *filter(None, named)]

    def takes(self, network: DeclaredNetwork) -> bool:
        """Whether it is run on a network, which it may name by its group."""
        return self.networks is None or not {network.name, network.declared}.isdisjoint(
            self.networks
        )


@dataclass(frozen=True)
class Study:
    """What a study file declares, in the order of its sections."""

    sets: tuple[DeclaredSet, ...]
    networks: tuple[DeclaredNetwork, ...]
    analyses: tuple[DeclaredAnalysis, ...]
    claims: tuple[DeclaredClaim, ...] = ()


def read_study(path: Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    BadInput
        If it is no TOML, has an unknown key or a value that an option cannot have, lacks a key, or
        names a set or network that it does not declare; the message gives the line.
    """
    text = read_text(path, "The study file")
    try:
        if max(line.count(".") for line in ["", *text.splitlines()]) > _DOTS:
            raise RecursionError  # which the parser would reach after hours
        content = tomllib.loads(text)
        check_depth(content)
    except RecursionError:
        raise BadInput(f"The study file {path} is nested too deeply.") from None
    except ValueError as error:  # of TOML, or a number of thousands of digits
        raise BadInput(f"{path} is no TOML file that can be read: {error}.") from None
    lines = Lines(path, text)
    for key in content:
        if key not in ("title", *_KINDS):
            known = "title, [[sets]], [[networks]], [[analyses]] and [[claims]]"
            raise BadInput(f"{lines.of_top(key)}: unknown key {key!r}; use {known}.")
    sections = {kind: sections_of(path, lines, kind, content.get(kind, [])) for kind in _KINDS}
    for kind in ("sets", "networks"):
        _check_no_name_twice(sections[kind])
    sets = [set_of(section) for section in sections["sets"]]
    networks = [network for section in sections["networks"] for network in _networks(section)]
    _check_no_member_twice(networks)
    analyses = [_analysis(section) for section in sections["analyses"]]
    for number, (section, one) in enumerate(zip(sections["sets"], sets, strict=True)):
        if one.of is not None and one.of not in [known.name for known in sets[:number]]:
            sentence = f"{one.of!r} is none of the [[sets]] before it."
            raise section.refusal(one.origin, sentence)
    for section, declared in zip(sections["analyses"], analyses, strict=True):
        for key in SETS:
            _check_declared(section, key, [section.values.get(key)], "sets", sets)
        _check_declared(section, "networks", declared.networks or (), "networks", networks)
    claims = tuple(claim_of(section) for section in sections["claims"])
    return Study(tuple(sets), tuple(networks), tuple(analyses), claims)


_KINDS = ("sets", "networks", "analyses", "claims")
_DOTS = 500  # in a line: each may be a table in the one before


def _networks(section: Section) -> list[DeclaredNetwork]:
    base, options = section.records(_Network, records.Options)
    chosen = section.make(ingest.Options, base.ingest or {}, "ingest")
    return [
        # As it is said, so that a check can refuse it; each is a network of one seed.
        DeclaredNetwork(
            name, base.name, base.layers, replace(one, seeds=options.seeds), chosen, where
        )
        for where in [section.lines[""]]
        for name, one in options.members(base.name).items()
    ]


def _analysis(section: Section) -> DeclaredAnalysis:
    run = section.values.get("run")
    if not isinstance(run, str) or run not in ANALYSES:
        raise section.refusal("run", f"run must be one of {', '.join(ANALYSES)}, not {run!r}.")
    found = analysis(run)
    base, options = section.records(_Analysis, found.options)
    return DeclaredAnalysis(found, base.stimuli, base.networks, options, section.lines[""])


def _check_no_name_twice(sections: list[Section]) -> None:
    seen = []
    for section in sections:
        name = section.values.get("name")
        if name in seen:
            raise section.refusal("name", f"{name} is declared twice.")
        seen.append(name)


def _check_no_member_twice(networks: list[DeclaredNetwork]) -> None:
    seen: set[str] = set()
    for network in networks:
        if network.name in seen:
            raise BadInput(f"{network.where}: {network.name} is declared twice.")
        seen.add(network.name)


def _check_declared(section: Section, key: str, named: Any, kind: str, declared: list[Any]) -> None:
    known = list(dict.fromkeys(getattr(one, "declared", one.name) for one in declared))
    known += [one.name for one in declared if one.name not in known]
    for name in named:
        if name is not None and name not in known:
            listed = ", ".join(known) or "none"
            raise section.refusal(key, f"{name!r} is none of the [[{kind}]]: {listed}.")


def write_example(path: Path) -> None:
    """Write the example study; a file that is there is never overwritten."""
    text = (files("fexp_store") / "data" / "study.toml").read_text("utf-8")
    with writing(path, anew=True) as file:
        file.write(text.encode())

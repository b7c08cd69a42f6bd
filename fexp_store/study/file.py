"""A study file: sets, networks and analyses in TOML, checked as a whole before anything runs."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from fexp_store.analyses.categorical import categorize
from fexp_store.analyses.comparison import compare
from fexp_store.analyses.confusion import confuse
from fexp_store.analyses.decoding import decode
from fexp_store.analyses.selectivity import select
from fexp_store.analyses.tuning import tune
from fexp_store.errors import BadInput

ANALYSES: Mapping[str, Callable[..., Any]] = {
    "select": select,
    "tune": tune,
    "decode": decode,
    "confuse": confuse,
    "categorize": categorize,
    "compare": compare,
}

_Types = Mapping[str, tuple[type, ...]]
_NUMBER = (int, float)
_SETS: _Types = {"name": (str,), "manifest": (str,), "render": (dict,), "morph": (dict,)}
_IN_BRACES: Mapping[str, tuple[_Types, str]] = {
    "render": (
        {
            "identities": (int,),
            "seed": (int,),
            "neutral": (bool,),
            "intensity": _NUMBER,
            "jitter": _NUMBER,
            "greyscale": (bool,),
            "oval_mask": (bool,),
            "size": (int,),
        },
        "identities",
    ),
    "morph": (
        {
            "of": (str,),
            "continua": (str,),
            "levels": (int,),
            "identities": (int,),
            "landmarks": (str,),
            "warp": (bool,),
        },
        "of",
    ),
}
"""Keys of the tables in braces, as of ``fexp stimuli render`` and ``morph``, and the needed one."""
_NETWORKS: _Types = {
    "name": (str,),
    "architecture": (str,),
    "weights": (str,),
    "untrained": (bool,),
    "seed": (int,),
    "group": (str,),
    "layers": (list,),
}
SET_KEYS = {"stimuli": "stimulus_set", "test": "test_set", "morphs": "morph_set"}
"""Keys of an analysis that name sets, and the parameters that they stand for."""

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_WORDS |= {list: "a list of texts", dict: "a table in braces"}


@dataclass(frozen=True)
class Section:
    """One ``[[…]]`` of a study file.

    Parameters
    ----------
    values : dict
        Its keys and values.
    where : str
        File and line, for messages.
    """

    values: dict[str, Any]
    where: str


@dataclass(frozen=True)
class Study:
    """What a study file declares.

    Parameters
    ----------
    directory : Path
        Of the file; manifests and weights are relative to it.
    sets, networks, analyses : tuple of Section
    """

    directory: Path
    sets: tuple[Section, ...]
    networks: tuple[Section, ...]
    analyses: tuple[Section, ...]


def read_study(path: Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    BadInput
        If it is no TOML, has an unknown key or a value of a wrong type, lacks a key, or names a
        set or network that it does not declare; the message gives the line.
    """
    try:
        text = path.read_text("utf-8")
        content = tomllib.loads(text)
    except FileNotFoundError:
        raise BadInput(f"The study file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} is no TOML file that can be read: {error}.") from None
    for key in content:
        if key not in ("title", "sets", "networks", "analyses"):
            known = "title, [[sets]], [[networks]] and [[analyses]]"
            raise BadInput(f"{_where(path, text, None, 0, key)}: unknown key {key!r}; use {known}.")
    sections = {
        name: _sections(path, text, name, content.get(name, []))
        for name in ("sets", "networks", "analyses")
    }
    study = Study(path.parent, **sections)
    _check_names(path, text, study)
    return study


def options_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """All options of an analysis section: those it gives, and the defaults of the others."""
    return {p.name: values.get(p.name, p.default) for p in _keywords(values["run"])}


def _sections(path: Path, text: str, kind: str, found: Any) -> tuple[Section, ...]:
    if not isinstance(found, list) or not all(isinstance(x, dict) for x in found):
        raise BadInput(f"{_where(path, text, None, 0, kind)}: write {kind} as [[{kind}]].")
    for number, values in enumerate(found):
        where = {key: _where(path, text, kind, number, key) for key in ("", *values)}
        if kind == "analyses":
            allowed, required = _analysis_keys(values, where)
        else:
            allowed = _SETS if kind == "sets" else _NETWORKS
            required = ("name",) if kind == "sets" else ("name", "layers")
        _check_types(values, allowed, where)
        for key in required:
            if key not in values:
                raise BadInput(f"{where['']}: [[{kind}]] lacks {key}.")
        if kind == "sets":
            _check_origin(values, where)
    return tuple(
        Section(values, _where(path, text, kind, number, "")) for number, values in enumerate(found)
    )


def _check_origin(values: Mapping[str, Any], where: Mapping[str, str]) -> None:
    """Check that a set comes from one place, and the table in braces that says how."""
    given = [key for key in ("manifest", *_IN_BRACES) if key in values]
    if len(given) > 1:
        raise BadInput(f"{where[given[1]]}: a set has one of {' and '.join(given)}, not both.")
    for key in set(given) & _IN_BRACES.keys():
        allowed, needed = _IN_BRACES[key]
        _check_types(values[key], allowed, dict.fromkeys(allowed, where[key]))
        if needed not in values[key]:
            raise BadInput(f"{where[key]}: {key} needs {needed}.")


def _analysis_keys(
    values: Mapping[str, Any], where: Mapping[str, str]
) -> tuple[_Types, tuple[str, ...]]:
    run = values.get("run")
    if not isinstance(run, str) or run not in ANALYSES:
        place = where.get("run", where[""])
        raise BadInput(f"{place}: run must be one of {', '.join(ANALYSES)}, not {run!r}.")
    parameters = inspect.signature(ANALYSES[run]).parameters
    sets = {key: (str,) for key, name in SET_KEYS.items() if name in parameters}
    needed = [k for k in sets if parameters[SET_KEYS[k]].default is inspect.Parameter.empty]
    hints = get_type_hints(ANALYSES[run])
    options = {p.name: _kinds(hints[p.name]) for p in _keywords(run)}
    return {"run": (str,), "networks": (list,), **sets, **options}, tuple(needed)


def _keywords(run: str) -> list[inspect.Parameter]:
    parameters = inspect.signature(ANALYSES[run]).parameters.values()
    return [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]


def _kinds(hint: Any) -> tuple[type, ...]:
    """Types of TOML values that fit a type hint: a whole number is a number, None is no value."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return _NUMBER if kinds == [float] else tuple(kinds)


def _check_types(values: Mapping[str, Any], allowed: _Types, where: Mapping[str, str]) -> None:
    for key, value in values.items():
        place = where.get(key, next(iter(where.values())))
        if key not in allowed:
            raise BadInput(f"{place}: unknown key {key!r}; known here: {', '.join(allowed)}.")
        kinds = allowed[key]
        right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if isinstance(value, list):
            right = right and bool(value) and all(isinstance(x, str) for x in value)
        if not right:
            raise BadInput(f"{place}: {key} must be {_WORDS[kinds[-1]]}, not {value!r}.")


def _check_names(path: Path, text: str, study: Study) -> None:
    names = {}
    for kind, sections in (("sets", study.sets), ("networks", study.networks)):
        names[kind] = [section.values["name"] for section in sections]
        for number, name in enumerate(names[kind]):
            if name in names[kind][:number]:
                place = _where(path, text, kind, number, "name")
                raise BadInput(f"{place}: {name} is declared twice.")
    for number, section in enumerate(study.sets):
        of = section.values.get("morph", {}).get("of")
        if of is not None and of not in names["sets"][:number]:
            place = _where(path, text, "sets", number, "morph")
            raise BadInput(f"{place}: {of!r} is none of the [[sets]] before it.")
    for number, section in enumerate(study.analyses):
        used = [(key, section.values[key], "sets") for key in SET_KEYS if key in section.values]
        used += [("networks", name, "networks") for name in section.values.get("networks", [])]
        for key, name, kind in used:
            if name not in names[kind]:
                place = _where(path, text, "analyses", number, key)
                known = ", ".join(names[kind]) or "none"
                raise BadInput(f"{place}: {name!r} is none of the [[{kind}]]: {known}.")


def _where(path: Path, text: str, kind: str | None, number: int, key: str) -> str:
    """File and line of a key in the number-th ``[[kind]]``, or of its header if not found."""
    block, count, header = None, -1, 1
    for line, content in enumerate(text.splitlines(), 1):
        opened = re.match(r"\s*\[\[?\s*([\w-]+)", content)
        if opened:
            block = opened[1]
            count += block == kind
            if block == kind and count == number:
                header = line
        here = block == kind and (kind is None or count == number)
        named = re.match(rf"\s*(\[\[?\s*)?[\"']?{re.escape(key)}[\"']?\s*(=|\])", content)
        if key and named and (here or (kind is None and opened)):
            return f"{path.name} line {line}"
    return f"{path.name} line {header}"


def write_example(path: Path) -> None:
    """Write the example study; a file that is there is never overwritten."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write((files("fexp_store") / "data" / "study.toml").read_text("utf-8"))
    except FileExistsError:
        raise BadInput(f"{path} is there already; choose another name.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.") from None

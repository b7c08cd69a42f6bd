"""Every option is a study key: of the same name, type and default, refused in the same words."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import pytest
from support.records import RECORDS, Taken, bad_value, edges, label, needed, options

from fexp_store import BadInput
from fexp_store.analyses import ANALYSES
from fexp_store.options import Option, describe, make
from fexp_store.study.file import Study, read_study

IN_BRACES = {
    "ingest": '[[networks]]\nname = "n"\nlayers = ["l"]\ningest = {{ {} }}',
    "stimuli render": '[[sets]]\nname = "new"\nrender = {{ {} }}',
    "stimuli morph": '[[sets]]\nname = "new"\nmorph = {{ {} }}',
    "stimuli prepare": '[[sets]]\nname = "new"\nprepare = {{ {} }}',
}
STUDIED = [taken for taken in RECORDS if taken.command != "verify"]  # which is no step of a study
DECLARED = '[[sets]]\nname = "given"\n'


def values_for(taken: Taken, values: dict[str, Any]) -> dict[str, Any]:
    """Values with what else the section needs to be one."""
    if taken.command == "stimuli add" and taken.record.__name__ == "Listing":
        values = {"layout": "kdef"} | values if "pattern" not in values else values
        return {"directory": "d"} | values
    return needed(taken.record) | values


def study_with(taken: Taken, values: dict[str, Any]) -> str:
    """A study file in which a record has some values, each on its line or in braces."""
    values = values_for(taken, values)
    keys = [f"{name} = {toml(value)}" for name, value in values.items()]
    if taken.record.__name__ != "Rights" and taken.command in IN_BRACES:
        return DECLARED + IN_BRACES[taken.command].format(", ".join(keys)) + "\n"
    if taken.command in ANALYSES:
        head = ["[[analyses]]", f'run = "{taken.command}"', 'stimuli = "given"']
    elif taken.command == "networks add":
        head = ["[[networks]]", 'name = "n"', 'layers = ["l"]']
    else:
        head = ["[[sets]]", 'name = "new"']
    return DECLARED + "\n".join([*head, *keys]) + "\n"


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf"
    return json.dumps(value)


def read(taken: Taken, study: Study) -> Any:
    """The record that a study file was read into."""
    if taken.command in ANALYSES:
        return study.analyses[0].options
    if taken.command in ("ingest", "networks add"):
        network = study.networks[0]
        return network.ingest if taken.command == "ingest" else network.options
    declared = study.sets[1]
    return declared.rights if taken.record.__name__ == "Rights" else declared.recipe


def another_value(option: Option) -> Any:
    """A value that an option can have and that is not its default."""
    others: dict[type, Any] = {
        str: "given",
        Path: "file.csv",
        tuple: ["a=b"],
        dict: {"size": 160},
        bool: not option.default,
        int: 7,
        float: 0.25,
    }
    inside = [value for value in edges(option)[0] if value != option.default]
    return inside[-1] if inside else others[option.kind]


@pytest.mark.parametrize("taken", STUDIED, ids=label)
def test_the_defaults_of_a_study_are_those_of_the_record(taken: Taken, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(study_with(taken, {}))
    found = read(taken, read_study(path))
    given = values_for(taken, {}).keys()
    for option in describe(taken.record):
        if option.name not in given:
            assert getattr(found, option.name) == option.default
            assert option.default is not MISSING


@pytest.mark.parametrize(
    ("taken", "option"), [(t, o) for t, o in options() if t in STUDIED], ids=label
)
def test_every_option_is_a_study_key(taken: Taken, option: Option, tmp_path: Path) -> None:
    value = another_value(option)
    path = tmp_path / "study.toml"
    path.write_text(study_with(taken, {option.name: value}))
    found = getattr(read(taken, read_study(path)), option.name)
    wanted = getattr(make(taken.record, needed(taken.record) | {option.name: value}), option.name)
    if option.is_file(value):  # is relative to the study file
        assert Path(found) == tmp_path / value
    else:
        assert found == wanted
        assert found != option.default


BOUNDED = [(t, o) for t, o in options() if t in STUDIED and bad_value(o) is not None]


@pytest.mark.parametrize(("taken", "option"), BOUNDED, ids=label)
def test_a_bad_value_gets_the_library_s_sentence_and_its_line(
    taken: Taken, option: Option, tmp_path: Path
) -> None:
    for value in edges(option)[1]:
        with pytest.raises(BadInput) as library:
            make(taken.record, needed(taken.record) | {option.name: value})
        path = tmp_path / "study.toml"
        path.write_text(study_with(taken, {option.name: value}))
        with pytest.raises(BadInput) as study:
            read_study(path)
        lines = path.read_text().splitlines()
        (line,) = (i for i, text in enumerate(lines, 1) if f"{option.name} = {toml(value)}" in text)
        assert str(study.value) == f"study.toml line {line}: {library.value}"


def test_there_is_something_to_check() -> None:
    assert len(BOUNDED) > 20
    assert {taken.command for taken in STUDIED} > {*ANALYSES, "ingest", "networks add"}

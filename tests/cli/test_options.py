"""An option is one fact: the library and the command line know it alike, and refuse it alike."""

from __future__ import annotations

from dataclasses import MISSING
from pathlib import Path
from typing import Any

import pytest
from support.records import RECORDS, Taken, bad_value, edges, label, needed, options
from typer.main import get_command
from typer.testing import CliRunner

from fexp_store.cli import app
from fexp_store.options import Option, OutOfBounds, describe, make

OPTIONS = list(options())
BOUNDED = [(taken, option) for taken, option in OPTIONS if bad_value(option) is not None]


def named(pairs: list[tuple[Taken, Option]]) -> Any:
    return pytest.mark.parametrize(("taken", "option"), pairs, ids=label)


def flag(option: Option) -> str:
    return f"--{option.name.replace('_', '-')}"


def parameters(command: str) -> dict[str, Any]:
    found: Any = get_command(app)
    for word in command.split():
        found = found.commands[word]
    return {parameter.name: parameter for parameter in found.params}


def test_every_record_of_options_is_walked() -> None:
    assert len(OPTIONS) > 60
    assert len(BOUNDED) > 30
    assert all(option.help for _, option in OPTIONS)


@named(OPTIONS)
def test_an_option_is_a_parameter_of_its_command(taken: Taken, option: Option) -> None:
    parameter = parameters(taken.command)[option.name]
    if parameter.param_type_name == "argument":
        assert option.default is MISSING
        return
    assert parameter.opts == [flag(option)]
    assert parameter.help == option.help
    if option.default is MISSING:
        assert parameter.required
    elif option.kind not in (tuple, dict):  # which are empty there and None here
        assert parameter.default == option.default
    if option.kind is bool:
        assert parameter.secondary_opts == [f"--no-{flag(option)[2:]}"]


@pytest.mark.parametrize("command", dict.fromkeys(taken.command for taken in RECORDS))
def test_a_command_declares_no_option_beside_its_records(command: str) -> None:
    known = {
        o.name for taken in RECORDS if taken.command == command for o in describe(taken.record)
    }
    what = {"network", "networks", "layer", "stimuli", "name", "new_name", "images"}
    how = {"dry_run", "explain", "quick", "repair", "output_format", "help"}
    assert parameters(command).keys() - known <= what | how


@named(BOUNDED)
def test_what_its_words_allow_is_allowed(taken: Taken, option: Option) -> None:
    for value in edges(option)[0]:
        record: Any = make(taken.record, needed(taken.record) | {option.name: value})
        assert getattr(record, option.name) == value


@named(BOUNDED)
def test_what_its_words_forbid_is_refused_in_one_sentence_everywhere(
    taken: Taken, option: Option, tmp_path: Path
) -> None:
    arguments = [*taken.command.split(), *taken.arguments]
    for name, value in needed(taken.record).items():
        if parameters(taken.command)[name].param_type_name == "option":
            arguments += [f"--{name}", value]
    for value in edges(option)[1]:
        with pytest.raises(OutOfBounds) as refused:
            make(taken.record, needed(taken.record) | {option.name: value})
        said = str(refused.value)
        shown = repr(value) if isinstance(value, str) else value
        assert said == f"{option.name} must be {option.wanted}, not {shown}."
        assert "  " not in said
        assert refused.value.option == option.name
        # The warehouse is not there: options are refused before it is opened.
        command = ["-w", str(tmp_path / "nowhere"), *arguments, f"{flag(option)}={value}"]
        done = CliRunner().invoke(app, command)
        assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"Error: {said}\n")


def test_a_needed_option_that_is_missing_is_wrong_use() -> None:
    done = CliRunner().invoke(app, ["categorize", "-n", "n", "-l", "l", "-s", "s"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--morphs" in done.stderr

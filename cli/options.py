"""Typer parameters out of records of options: a command takes a record, its user sees options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from fexp_store import BadInput
from fexp_store.given import parse_json
from fexp_store.options import Option, describe, make

Command = Callable[..., None]

NetworkOption = Annotated[str, typer.Option("--network", "-n", help="Name of the network.")]
LayerOption = Annotated[str, typer.Option("--layer", "-l", help="Layer.")]
StimuliOption = Annotated[str, typer.Option("--stimuli", "-s", help="Name of the stimulus set.")]
LayersOption = Annotated[
    list[str], typer.Option("--layer", "-l", help="Layer; repeat for several.")
]
LayerPatternsOption = Annotated[
    list[str],
    typer.Option(
        "--layer", "-l", help="Layer, pattern such as 'layer4.*', or all; repeat for several."
    ),
]


def takes(cls: type, name: str = "options") -> Callable[[Command], Command]:
    """Give a command the options of a record instead of its parameter `name`.

    One that the command declares itself, as an argument, stays as it is and is in the record too.
    Values are checked by the record, so that the sentence that refuses one is the library's.
    """
    options = describe(cls)

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        parameters = [p for p in signature.parameters.values() if p.name != name]
        place = list(signature.parameters).index(name)
        own = [option for option in options if option.name in signature.parameters]
        parameters[place:place] = [_parameter(option) for option in options if option not in own]
        keywords = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in parameters]

        @wraps(command)
        def call(**values: Any) -> None:
            given = {option.name: _value(option, values.pop(option.name)) for option in options}
            values |= {option.name: given[option.name] for option in own}
            command(**values, **{name: make(cls, given)})

        call.__signature__ = signature.replace(parameters=keywords)  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in keywords}
        return call

    return decorate


def _parameter(option: Option) -> Parameter:
    flag = f"--{option.name.replace('_', '-')}"
    names = [f"{flag}/--no-{flag[2:]}"] if option.kind is bool else [flag]
    metavar = f"[{'|'.join(option.choices)}]" if option.choices else None
    kinds: dict[type, Any] = {tuple: list[str], dict: str}
    kind = kinds.get(option.kind, option.kind)
    default = Parameter.empty if option.default is MISSING else option.default
    if default is None or option.kind in (tuple, dict):
        kind, default = kind | None, default or None
    info = typer.Option(*names, help=option.help, metavar=metavar)
    return Parameter(
        option.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
    )


def _value(option: Option, value: Any) -> Any:
    if value is None:
        return None if option.default is MISSING else option.default
    if option.kind is dict:
        if option.word is not None and re.fullmatch(r"\w+", value):
            return {option.word: value}
        try:
            return parse_json(value)
        except BadInput as error:
            raise BadInput(f"--{option.name} is no JSON that is read: {error}.") from None
    return str(value) if isinstance(value, Path) else value

"""Options: each is one fact on a record, from which commands, study keys, checks and docs derive.

A record is a class of annotated fields; a field's annotation is its type, bounds, choices and line
of help, its default the option's default::

    @record
    class Classifier:
        components: Annotated[int, Meta(ge=1, description="Principal components; our choice.")] = 50
        kernel: Annotated[Literal["linear", "rbf"], Meta(description="Our choice.")] = "linear"
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, NoReturn, TypeVar, dataclass_transform, get_type_hints

import msgspec
from msgspec import Meta, inspect

from fexp_store.errors import BadInput

Record = TypeVar("Record")

Count = Annotated[int, Meta(ge=1, le=100_000)]
Seed = Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]
"""What every generator of random numbers that is used takes."""
KeptBits = Annotated[int, Meta(ge=0, le=22)]
Memory = Annotated[
    float, Meta(gt=0, le=1 << 24, description="MiB that buffers of activations may have.")
]


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 100


class OutOfBounds(BadInput):
    """A value that an option cannot have; `option` is the option's name."""

    def __init__(self, option: str, sentence: str) -> None:
        super().__init__(sentence)
        self.option = option


@dataclass(frozen=True)
class Option:
    """One option of a record.

    Parameters
    ----------
    name : str
        Of the field, the study key and, with dashes, the command-line option.
    kind : type
        bool, int, float, str, Path, tuple (of texts) or dict (a table).
    default : object
        `dataclasses.MISSING` where a value must be given.
    choices : tuple of str
        The only values; empty where there are others.
    wanted : str
        What a value must be, in words: ``a whole number of 2 or more``.
    help : str
        One line.
    words : tuple of str or None
        For an option that names a file unless it is one of these words; None for any other.
    recorded : callable
        Makes of a file's path what is recorded of it: its name and, where it counts, the content.
    word : str or None
        Of a table: the key of which a single word is the value.
    """

    name: str
    kind: type
    default: Any
    choices: tuple[str, ...]
    wanted: str
    help: str
    words: tuple[str, ...] | None
    recorded: Callable[[str], str]
    word: str | None = None

    def is_file(self, value: Any) -> bool:
        """Whether a value of this option names a file."""
        return value is not None and self.words is not None and str(value) not in self.words


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[Record]) -> type[Record]:
    """Make a frozen dataclass, keywords only, whose values are checked when it is made.

    Making one raises `OutOfBounds`, a BadInput, at the first value that an option cannot have.
    """
    cls.__post_init__ = _check  # type: ignore[attr-defined]
    return dataclass(frozen=True, kw_only=True)(cls)


def describe(cls: type) -> tuple[Option, ...]:
    """Return the options of a record, in order."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple(_option(f.name, hints[f.name], f.default) for f in fields(cls))


def make(cls: type[Record], values: Mapping[str, Any]) -> Record:
    """Make a record of values by name, as a study file or a command line has them.

    Raises
    ------
    OutOfBounds
        If an option is unknown, is missing, or has a value that it cannot have.
    """
    known = {option.name: option for option in describe(cls)}
    for name in values:
        if name not in known:
            raise OutOfBounds(name, f"unknown key {name!r}; known here: {', '.join(known)}.")
    for name, option in known.items():
        if option.default is MISSING and values.get(name) is None:
            raise OutOfBounds(name, f"{name} is needed: {option.help}")
    return cls(**values)


def plain(record: Any) -> dict[str, Any]:
    """Return the values of a record as JSON has them.

    No path is stored: a file is recorded by its name or as its option says (`Option.recorded`), for
    which it is read.
    """
    values = {option.name: _plain(option, record) for option in describe(type(record))}
    found: dict[str, Any] = msgspec.to_builtins(values)
    return found


def relative_to(directory: Path, cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Take the files that values name as relative to a directory."""
    named = {option.name: option for option in describe(cls)}
    return {
        name: str(directory / value) if name in named and named[name].is_file(value) else value
        for name, value in values.items()
    }


def _plain(option: Option, record: Any) -> Any:
    value = getattr(record, option.name)
    return option.recorded(str(value)) if option.is_file(value) else value


def _check(self: Any) -> None:
    hints = get_type_hints(type(self), include_extras=True)
    for option in describe(type(self)):
        value = getattr(self, option.name)
        try:
            taken = msgspec.convert(value, hints[option.name], dec_hook=_decode)
        except msgspec.ValidationError:
            _refuse(option, value)
        if isinstance(taken, float) and not math.isfinite(taken):
            _refuse(option, value)
        object.__setattr__(self, option.name, taken)


def _refuse(option: Option, value: Any) -> NoReturn:
    if isinstance(value, int) and value.bit_length() > 64:
        shown = f"a number of {value.bit_length()} bits"
    else:
        shown = str(value) if isinstance(value, (int, float)) else _SHORT.repr(value)
    raise OutOfBounds(option.name, f"{option.name} must be {option.wanted}, not {shown}.") from None


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    raise msgspec.ValidationError


def _option(name: str, hint: Any, default: Any) -> Option:
    about = [part for part in getattr(hint, "__metadata__", ()) if isinstance(part, Meta)]
    info = inspect.type_info(hint)
    while isinstance(info, (inspect.Metadata, inspect.UnionType)):
        if isinstance(info, inspect.Metadata):
            info = info.type
        else:  # or None, which needs no words
            (info,) = (part for part in info.types if not isinstance(part, inspect.NoneType))
    kind, wanted = _kind(info)
    choices = info.values if isinstance(info, inspect.LiteralType) else ()
    text = next((part.description for part in about if part.description), "")
    extra = {key: value for part in about for key, value in (part.extra or {}).items()}
    words = () if kind is Path else extra.get("file_unless")
    recorded = extra.get("recorded", _file_name)
    return Option(
        name,
        kind,
        default,
        tuple(map(str, choices)),
        wanted,
        text,
        words,
        recorded,
        extra.get("word"),
    )


def _file_name(path: str) -> str:
    return Path(path).name


def _kind(info: inspect.Type) -> tuple[type, str]:
    """Return the Python type of values and, in words, what they must be."""
    match info:
        case inspect.BoolType():
            return bool, "true or false"
        case inspect.IntType():
            return int, f"a whole number{_bounds(info)}"
        case inspect.FloatType():
            return float, f"a number{_bounds(info)}"
        case inspect.LiteralType():
            *others, last = map(str, info.values)
            return str, f"{', '.join(others)} or {last}" if others else last
        case inspect.StrType():
            return str, "text"
        case inspect.VarTupleType():
            return tuple, "a list of texts"
        case inspect.DictType():
            return dict, "a table in braces"
        case inspect.CustomType(cls) if cls is Path:
            return Path, "the path of a file"
    raise TypeError(f"No option is of the kind {info}.")


def _bounds(info: inspect.IntType | inspect.FloatType) -> str:
    match (info.gt, info.ge, info.lt, info.le):
        case (None, low, None, high) if low is not None:
            return f" from {low} to {high}"
        case (low, None, high, None) if low is not None and high is not None:
            return f" above {low} and below {high}"
        case (low, None, None, high) if low is not None and high is not None:
            return f" above {low} and at most {high}"
    raise TypeError(f"A number is bounded on both sides: {info}.")

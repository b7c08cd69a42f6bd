"""Values of every type that an answer can have, as JSON and as people have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from fexp_store.cli.terminal import escape

Column = Any  # a pyarrow Array or ChunkedArray
Convert = Callable[[Any], Any]

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NUMPY_UNIT = {"date32[day]": "D", "date64[ms]": "ms"}


def plain(column: Column) -> list[Any]:
    """Return values as JSON has them: dates as text, however far away, and maps as objects."""
    # Python has neither infinite dates nor nanoseconds: their numbers are converted here.
    convert = _converter(column.type)
    values = column.cast(_with_numbers(column.type)).to_pylist()
    return [None if value is None else convert(value) for value in values]


def texts(column: Column) -> list[str]:
    """Return values as a table for people shows them; nothing for null."""
    kind = column.type
    if pa.types.is_decimal(kind):
        return ["" if value is None else f"{value:f}" for value in column.to_pylist()]
    if pa.types.is_floating(kind):
        return ["" if value is None else f"{value:.4g}" for value in column.to_pylist()]
    shorten = pa.types.is_timestamp(kind)
    return [_text(value, shorten) for value in plain(column)]


def _text(value: Any, is_moment: bool) -> str:
    if value is None:
        return ""
    if is_moment:
        return str(value).partition(".")[0].partition("+")[0].replace("T", " ")
    return value if isinstance(value, str) else to_json(value)


def to_json(value: Any) -> str:
    """Write what `plain` gave as JSON on one line, with no character that commands a terminal."""
    return escape(json.dumps(value, ensure_ascii=False), "\\u{:04x}")


def _with_numbers(kind: pa.DataType) -> pa.DataType:
    """Return the type with dates and times as whole numbers."""
    types = pa.types
    if types.is_date32(kind) or types.is_time32(kind):
        return pa.int32()
    if types.is_timestamp(kind) or types.is_date64(kind) or types.is_time64(kind):
        return pa.int64()
    if types.is_map(kind):
        return pa.map_(_with_numbers(kind.key_type), _with_numbers(kind.item_type))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_with_numbers(field.type)) for field in kind])
    if types.is_large_list(kind):
        return pa.large_list(_with_numbers(kind.value_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(_with_numbers(kind.value_type), kind.list_size)
    if types.is_list(kind):
        return pa.list_(_with_numbers(kind.value_type))
    return kind


def _converter(kind: pa.DataType) -> Convert:
    types = pa.types
    if types.is_boolean(kind) or types.is_integer(kind):
        return _same
    if types.is_floating(kind):
        return lambda value: value if abs(value) < float("inf") else str(value)  # nan is not
    if types.is_decimal(kind):  # DuckDB counts and sums whole numbers as HUGEINT
        return _number
    if types.is_date(kind) or types.is_timestamp(kind):
        return partial(_moment, kind)
    if types.is_time(kind):
        return partial(_time, PER_SECOND[kind.unit])
    if types.is_map(kind):
        return partial(_mapping, _converter(kind.key_type), _converter(kind.item_type))
    if types.is_struct(kind):
        return partial(_record, {field.name: _converter(field.type) for field in kind})
    if types.is_nested(kind):
        return partial(_list, _converter(kind.value_type))
    return lambda value: value.hex() if isinstance(value, bytes) else str(value)


def _same(value: Any) -> Any:
    return value


def _number(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)


def _moment(kind: pa.DataType, value: int) -> str:
    """Write a date, or a date and time, of any year; the greatest numbers are infinite."""
    if abs(value) == (1 << (kind.bit_width - 1)) - 1:
        return "infinity" if value > 0 else "-infinity"
    unit = _NUMPY_UNIT.get(str(kind)) or kind.unit
    written = str(np.datetime_as_string(np.int64(value).view(f"datetime64[{unit}]")))
    if pa.types.is_date(kind):
        return written.partition("T")[0]
    written = written.rstrip("0").removesuffix(".") if "." in written else written
    return written if kind.tz is None else f"{written}+00:00"


def _time(second: int, value: int) -> str:
    whole, part = divmod(value, second)
    digits = f".{part:0{len(str(second)) - 1}d}".rstrip("0") if part else ""
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{digits}"


def _mapping(key: Convert, value: Convert, pairs: list[tuple[Any, Any]]) -> Any:
    done = [(key(k), None if v is None else value(v)) for k, v in pairs]
    if all(isinstance(k, (str, int, float)) for k, _ in done):
        return {str(k): v for k, v in done}
    return [list(pair) for pair in done]


def _record(fields: dict[str, Convert], values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if v is None else fields[k](v) for k, v in values.items()}


def _list(convert: Convert, values: list[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]

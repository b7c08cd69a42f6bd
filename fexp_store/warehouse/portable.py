"""Answers in types that Arrow and its readers have: what they lack comes as text."""

from __future__ import annotations

from typing import Any

import duckdb

from fexp_store.warehouse.scans import identifier

# DuckDB hands on other values for some of these (-1 for the greatest UHUGEINT), or its own bytes.
_LACKING = frozenset(("interval", "time with time zone", "bit", "uhugeint", "bignum"))
_LACKING |= frozenset(("union", "variant", "tuple", "geometry"))
_NESTED = frozenset(("list", "array", "struct", "map"))


def portable(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Turn intervals, times with time zone, bits, numbers of more than 128 bits and unions to text.

    Also within lists, structs and maps. Every other column stays as it is.
    """
    kinds = relation.types
    if not any(map(_lacking, kinds)):
        return relation
    columns = [
        f"#{number}::{_portable(kind)} AS {identifier(name)}" if _lacking(kind) else f"#{number}"
        for number, (name, kind) in enumerate(zip(relation.columns, kinds, strict=True), 1)
    ]
    return relation.project(", ".join(columns))


def _lacking(kind: Any) -> bool:
    if kind.id in _NESTED:
        return any(_lacking(part) for name, part in kind.children if name != "size")
    return kind.id in _LACKING


def _portable(kind: Any) -> str:
    if not _lacking(kind):
        return str(kind)
    parts = dict(kind.children) if kind.id in _NESTED else {}
    match kind.id:
        case "list":
            return f"{_portable(parts['child'])}[]"
        case "array":
            return f"{_portable(parts['child'])}[{parts['size']}]"
        case "map":
            return f"MAP({_portable(parts['key'])}, {_portable(parts['value'])})"
        case "struct":
            fields = (f"{identifier(name)} {_portable(part)}" for name, part in parts.items())
            return f"STRUCT({', '.join(fields)})"
    return "VARCHAR"

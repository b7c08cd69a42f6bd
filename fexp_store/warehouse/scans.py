"""Views over files: SQL that reads exactly the files of a log, wherever the warehouse is.

The files are named relative to the warehouse, so that a copy answers from its own: a client works
in the warehouse, or sets ``file_search_path`` or the variable ``fexp_root``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

ROOT = "fexp_root"
"""The variable of DuckDB that says where the warehouse is."""

READER, RESULTS_READER = "read_parquet", "parquet_scan"
"""One function by two names: a plan tells by them whether activations or results are read."""

_MARK = "Damaged: "

Values = tuple[str | None, ...]
"""Values of a table's partition columns."""

FILE = "fexp_file"
"""The column that says from which file a row is."""


def union(
    folder: str,
    types: Mapping[str, str],
    keys: tuple[str, ...],
    files: Iterable[tuple[str, Values]],
    faults: Mapping[str, str],
) -> str:
    """Write the SELECT over the files of a table.

    A file whose path does not say its partition values is read under those that the log says. Files
    that cannot be read are left out, and asking for rows that may be in them is an error.

    Parameters
    ----------
    folder : str
        Of the table, in the warehouse.
    types : mapping
        DuckDB's types of all columns by name, in order.
    keys : tuple of str
        The partition columns, in the order of the folders.
    files : iterable
        Of path in the table's folder, and partition values as the log says.
    faults : mapping
        Sentences by path in the warehouse.
    """
    plain: list[str] = []
    odd: dict[Values, list[str]] = {}
    broken: dict[Values, list[str]] = {}
    for path, values in files:
        whole = f"{folder}/{path}"
        if whole in faults:
            broken.setdefault(values, []).append(faults[whole])
        elif _values(keys, path) == values:
            plain.append(whole)
        else:
            odd.setdefault(values, []).append(whole)
    reader = READER if folder == "activations" else RESULTS_READER
    arms = [_arm(reader, types, keys, None, plain)] if plain or not (odd or broken) else []
    arms += [_arm(reader, types, keys, values, paths) for values, paths in odd.items()]
    for values, sentences in broken.items():
        more = f" (and {len(sentences) - 1} more files)" if len(sentences) > 1 else ""
        arms.append(failing(f"{sentences[0]}{more}", types, dict(zip(keys, values, strict=True))))
    return "\nUNION ALL\n".join(arms)


def failing(
    reason: str, types: Mapping[str, str], known: Mapping[str, str | None] | None = None
) -> str:
    """Write a SELECT that fails with a sentence, unless what is known of its rows rules them out.

    Every other column is an error of its own: the optimiser would rule rows out by a filter on a
    null, or by filters on two columns that are the same expression.
    """
    known = known or {}
    columns, faults = [], []
    for number, (name, kind) in enumerate(types.items()):
        if name in known:
            columns.append(f"{quote(known[name])} AS {identifier(name)}")
        else:
            faults.append(f"error({quote(told(reason) + ' ' * number)}) AS fault{number}")
            columns.append(f"fault{number}::{kind} AS {identifier(name)}")
    faults.append(f"error({quote(told(reason))}) AS fault")
    source = f"(SELECT {', '.join(faults)})"
    return f"SELECT {', '.join(columns)} FROM {source} WHERE fault IS NULL"


def told(reason: str) -> str:
    """Return what an error in SQL says of damage."""
    return _MARK + reason


def sentence(said: str) -> str | None:
    """Return the reason of `told` in what DuckDB said; None if it said something else."""
    _, mark, found = said.partition(_MARK)
    return found.strip() if mark else None


def literal(path: str) -> str:
    """Write a path so that it stands for itself where patterns are allowed."""
    return re.sub(r"[\[*?]", r"[\g<0>]", path)


def quote(text: str | None) -> str:
    """Write a string of SQL."""
    return "NULL::VARCHAR" if text is None else "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Write a name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _arm(
    reader: str,
    types: Mapping[str, str],
    keys: tuple[str, ...],
    values: Values | None,
    paths: list[str],
) -> str:
    """Write the SELECT over some files, with partition values of their paths or given ones."""
    in_path = "/".join(f"{re.escape(key)}=([^/]*)" for key in keys)
    said = {
        key: f"url_decode(regexp_extract({FILE}, {quote(f'{in_path}/[^/]*$')}, {number + 1}))"
        if values is None
        else quote(values[number])
        for number, key in enumerate(keys)
    }
    columns = ", ".join(
        f"{said[name]} AS {identifier(name)}" if name in said else identifier(name)
        for name in types
    )
    if not paths:
        nulls = (f"NULL::{kind} AS {identifier(name)}" for name, kind in types.items())
        return f"SELECT {', '.join(nulls)} WHERE false"
    # Said here, columns that files of earlier versions lack are null, and no file is opened to ask.
    in_files = ", ".join(
        f"{quote(name)}: {{name: {quote(name)}, type: {quote(kind)}, default_value: NULL}}"
        for name, kind in types.items()
        if name not in said
    )
    listed = ", ".join(quote(literal(path)) for path in paths)
    place = f"concat_ws('/', rtrim(getvariable('{ROOT}'), '/'), p)"  # without the variable: p
    placed = f"list_transform([{listed}], lambda p: {place})"
    options = f"filename = '{FILE}', hive_partitioning = false, schema = MAP {{{in_files}}}"
    return f"SELECT {columns} FROM {reader}({placed}, {options})"


def _values(keys: tuple[str, ...], path: str) -> Values | None:
    """Return what the folders of a path say as the SQL above reads them; None if they do not."""
    named = [part.partition("=") for part in path.split("/")[-len(keys) - 1 : -1]]
    if [name for name, _, _ in named] != list(keys):
        return None
    return tuple(unquote(value) for _, _, value in named)

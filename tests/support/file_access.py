"""Finds, in the text of a module, every place that touches files or names a warehouse's place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

# By its full name, however it was imported; to mention it is enough, it need not be called.
FUNCTIONS = [
    *("open", "eval", "exec", "__import__", "io.open*", "os.*", "shutil.*", "tempfile.*", "glob.*"),
    *("mmap.*", "fcntl.*", "filelock.*", "zipfile.*", "tarfile.*", "fileinput.*", "linecache.*"),
    *("sqlite3.*", "fsspec.*", "subprocess.*", "gzip.open", "bz2.open", "lzma.open", "readline.*"),
    *("pyarrow.fs*", "pyarrow.dataset*", "pyarrow.csv*", "pyarrow.json*", "pyarrow.feather*"),
    *("pyarrow.parquet.*", "pyarrow.OSFile", "pyarrow.memory_map", "pyarrow.*_stream"),
    *("polars.read_*", "polars.scan_*", "deltalake.DeltaTable*", "deltalake.write_deltalake"),
    *("duckdb.connect", "numpy.load*", "numpy.save*", "numpy.memmap", "numpy.fromfile"),
    *(
        "numpy.genfromtxt",
        "torch.load",
        "torch.save",
        "safetensors.*file*",
        "safetensors.safe_open",
    ),
    *("h5py.File", "scipy.io.*", "PIL.Image.open", "pathlib.Path.[a-z]*"),
]
HARMLESS = [
    "os.cpu_count",
    "os.fs*code",
    "os.strerror",
    "os.environ*",
    "os.getpid",
    "subprocess.*E*",
]

# Methods of paths, images, arrays and frames, whatever they are called on.
METHODS = {
    *("open", "read_text", "write_text", "read_bytes", "write_bytes", "glob", "rglob", "walk"),
    *("mkdir", "touch", "chmod", "symlink_to", "hardlink_to", "samefile", "readlink", "save"),
    *("tofile", "write_csv", "write_parquet", "write_ipc", "write_json", "write_ndjson"),
    *("write_delta", "write_avro", "write_excel", "sink_csv", "sink_parquet", "sink_ipc"),
    *("sink_ndjson", "read_history_file", "write_history_file"),
}
# Of paths if without a positional argument: those of options and storages have one.
BARE = {"exists", "is_file", "is_dir", "is_symlink", "iterdir", "stat", "lstat", "unlink", "rmdir"}
# Of paths if with one argument alone that is no mapping: those of texts and frames have others.
MOVES = {"replace", "rename"}
# DuckDB reads and writes files when told to.
STATEMENTS = re.compile(
    r"\b(COPY|ATTACH|EXPORT DATABASE)\b|\b(read_\w+|parquet_\w+|sniff_csv|glob)\s*\("
)

# What gives the place of a warehouse or of something in it.
PLACES = {"uri", "location", "local", "replacing", "warehouse"}


@dataclass(frozen=True)
class Found:
    """A place in a module: its line, the function around it, and the text of the expression."""

    line: int
    function: str
    text: str


def touches(source: str) -> list[Found]:
    """Return everything that opens, lists, asks about, moves, makes or deletes a file."""
    tree = _parse(source)
    names = dict(_imported(tree))
    if "*" in names:
        raise ValueError("import * hides what is used")
    found = []
    for node in ast.walk(tree):
        if _is_function(node, names) or _is_method(node) or _is_statement(node):
            whole = node.parent if _called(node) else node  # type: ignore[attr-defined]
            found.append(Found(node.lineno, _function(node), _text(whole)))  # type: ignore[attr-defined]
    return found


def places(source: str) -> list[Found]:
    """Return every place of a warehouse that goes anywhere but into words or a new Warehouse."""
    return [
        Found(node.lineno, _function(node), _text(node.parent if _called(node) else node))  # type: ignore[attr-defined]
        for node in ast.walk(_parse(source))
        if isinstance(node, ast.Attribute) and _is_place(node) and not _only_said(node)
    ]


def _parse(source: str) -> ast.Module:
    """Parse, drop annotations and docstrings, and let every node know its parent."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                part
                for part in body
                if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ]
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    return tree


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                yield name, alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _is_function(node: ast.AST, names: dict[str, str]) -> bool:
    if isinstance(getattr(node, "parent", None), ast.Attribute):  # the longest name counts
        return False
    full = _full_name(node, names)
    return full is not None and _among(full, FUNCTIONS) and not _among(full, HARMLESS)


def _full_name(node: ast.AST, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id if node.id in FUNCTIONS else None)
    if isinstance(node, ast.Attribute):
        before = _full_name(node.value, names)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _among(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _is_method(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
        named = node.args[1]
        return isinstance(named, ast.Constant) and named.value in METHODS | BARE | MOVES | PLACES
    if not isinstance(node, ast.Attribute):
        return False
    call = node.parent if _called(node) else None  # type: ignore[attr-defined]
    if node.attr in BARE:
        return call is None or not call.args
    if node.attr in MOVES:
        given = [] if call is None else [*call.args, *call.keywords]
        mapping = bool(given) and isinstance(given[0], (ast.Dict, ast.DictComp))
        return call is None or (len(given) == 1 and bool(call.args) and not mapping)
    return node.attr in METHODS


def _is_statement(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and STATEMENTS.search(node.value) is not None
    )


def _is_place(node: ast.Attribute) -> bool:
    of_another = not (isinstance(node.value, ast.Name) and node.value.id == "self")
    return node.attr in PLACES or (node.attr == "_path" and of_another)


def _called(node: ast.AST) -> bool:
    parent = getattr(node, "parent", None)
    return isinstance(parent, ast.Call) and parent.func is node


def _only_said(node: ast.AST) -> bool:
    """Whether it is part of the words of an error or a message, or opens the warehouse."""
    inner, outer = node, getattr(node, "parent", None)
    while outer is not None and not isinstance(outer, ast.stmt):
        if isinstance(outer, ast.Call) and inner is not outer.func:
            name = ast.unparse(outer.func)
            if name == "messages.print" or re.fullmatch(
                r"Warehouse(\.create|\.open_or_create)?", name
            ):
                return True
            if not isinstance(outer.parent, ast.Raise):  # type: ignore[attr-defined]
                return False
        inner, outer = outer, outer.parent  # type: ignore[attr-defined]
    return isinstance(outer, ast.Raise)


def _function(node: ast.AST) -> str:
    """Return the name of the outermost function around a node; empty at the top."""
    name = ""
    while (node := getattr(node, "parent", None)) is not None:  # type: ignore[assignment]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = node.name
    return name


def _text(node: ast.AST) -> str:
    """The expression, of a call only what is called and its first argument."""
    if isinstance(node, ast.Call):
        return f"{ast.unparse(node.func)}({', '.join(map(ast.unparse, node.args[:1]))})"
    return ast.unparse(node)

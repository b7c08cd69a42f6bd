"""A user's own file of Python that builds a network: ``my_module.py:build``.

Such a file is code, and running it is what its user asked for. So it is run only by this user's own
word: what is registered names the file and its SHA-256, and never where it lies. Where it lies is
in this user's own folder on this machine, written by ``fexp networks add`` alone, and outside every
warehouse, since a warehouse with a record of this machine in it may come from somebody else.
"""

from __future__ import annotations

import contextlib
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PureWindowsPath
from types import CodeType, ModuleType
from typing import Any, NamedTuple, NoReturn

import torch
from torch import nn

from fexp_store.causes import first_line
from fexp_store.errors import BadInput, NotFound
from fexp_store.given import TEXT_LIMIT, read_bytes
from fexp_store.networks.architecture import Architecture, Input, fitting, preprocessing_of
from fexp_store.warehouse.networks import UNKNOWN
from fexp_store.warehouse.storage import cache_folder

_GIVEN = re.compile(r"(?P<file>.+\.py)(:(?P<function>[^:/\\@]*))?", re.DOTALL)
_STORED = re.compile(r"(?P<file>[^/\\]+\.py):(?P<function>\w+)@(?P<sha256>[0-9a-f]{64})")

_PREFIX = "fexp_own_"  # of the names under which such files run


class Built(NamedTuple):
    """What a file's function returned: a module and the fields of its preprocessing, if any."""

    module: nn.Module
    preprocessing: Mapping[str, Any] | None


@dataclass(frozen=True)
class OwnFile:
    """A file of Python as it was read, and which of its functions builds the network.

    Parameters
    ----------
    path : Path
    function : str
    content : bytes
        What is hashed is what is run.
    """

    path: Path
    function: str
    content: bytes

    @property
    def name(self) -> str:
        """How the architecture is stored: file, function and SHA-256."""
        digest = sha256(self.content).hexdigest()
        return f"{self.path.name}:{self.function}@{digest}"

    def run(self) -> Built:
        """Run the file and its function, on the CPU.

        The file is run anew each time, so that seeds which it sets count. Its folder is where it
        finds modules beside it, as in a script; they are forgotten afterwards.

        Raises
        ------
        BadInput
            If it cannot be run, has no such function, or that returns no module.
        """
        module = ModuleType(f"{_PREFIX}{uuid.uuid4().hex}")
        module.__file__ = str(self.path)
        with _as_script(self.path.parent, module), self.told():
            exec(self._code(), module.__dict__)  # noqa: S102 (the user named this file to be run)
            returned = self._builder(module)()
        return self._checked(returned)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Make one sentence of whatever goes wrong in the user's code."""
        try:
            yield
        except BadInput:
            raise
        except (Exception, SystemExit) as error:
            self._refuse(error)

    def _code(self) -> CodeType:
        return compile(self.content, str(self.path), "exec", dont_inherit=True)

    def _builder(self, module: ModuleType) -> Callable[[], Any]:
        builder = getattr(module, self.function, None)
        if not callable(builder):
            there = [
                name
                for name, value in vars(module).items()
                if callable(value) and getattr(value, "__module__", None) == module.__name__
            ]
            known = f"it has: {', '.join(there)}" if there else "it has none"
            raise BadInput(f"{self.path.name} has no function {self.function!r}; {known}.")
        return builder

    def _checked(self, returned: Any) -> Built:
        module, fields = returned, None
        if isinstance(returned, tuple) and len(returned) == 2:
            module, fields = returned
        if not isinstance(module, nn.Module) or not isinstance(fields, (dict, type(None))):
            raise BadInput(
                f"{self.path.name}: {self.function}() returned {_kind(returned)}; let it return an "
                "nn.Module, or (module, {…}) with the fields of its preprocessing."
            )
        return Built(module.cpu(), fields)

    def _refuse(self, error: BaseException) -> NoReturn:
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(self.path):
                line = trace.tb_lineno
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and error.filename == str(self.path):
            line = error.lineno
            said = error.msg
        else:
            said = first_line(error)
        where = "" if line is None else f", line {line}"
        kind = type(error).__name__
        raise BadInput(f"{self.path}{where}: {kind}{': ' * bool(said)}{said}.") from None


def is_own(name: str) -> bool:
    """Whether an architecture that is given or stored is a file of Python."""
    return _GIVEN.fullmatch(name) is not None or _STORED.fullmatch(name) is not None


def is_same(given: str, stored: str) -> bool:
    """Whether what is given, ``folder/my_module.py:build``, is what is stored, as names tell."""
    wanted, found = _GIVEN.fullmatch(given), _STORED.fullmatch(stored)
    return (
        wanted is not None
        and found is not None
        and (_file_name(wanted["file"]), wanted["function"]) == (found["file"], found["function"])
    )


def given(name: str) -> Architecture:
    """Run the file that a user names as ``FILE.py:FUNCTION``, and return what it builds.

    Raises
    ------
    BadInput
        If it is not there or cannot be run.
    """
    found = _GIVEN.fullmatch(name)
    if found is None or not (found["function"] or "").isidentifier():
        raise BadInput(f"{name} names no function of a file; give it as my_module.py:build.")
    path = Path(found["file"]).expanduser().absolute()
    return _architecture(OwnFile(path, found["function"], _read(path)))


def remember(architecture: Architecture) -> None:
    """Remember on this machine, for this user, where the file of an architecture is."""
    assert architecture.own is not None
    record = _record(architecture.name)
    partial_record = record.with_name(f"{record.name}.{uuid.uuid4().hex}")
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial_record.write_text(str(architecture.own), encoding="utf-8")
    partial_record.replace(record)


def stored(name: str, network: str) -> Architecture:
    """Run the file of a registered architecture, if this user named it here and it is the same.

    Parameters
    ----------
    name : str
        ``FILE.py:FUNCTION@SHA256``, from a warehouse that may be anybody's.
    network : str
        For sentences.

    Raises
    ------
    NotFound
        If this user has not named the file on this machine, or it is not there any more.
    BadInput
        If it has other content than when it was registered, or cannot be run.
    """
    found = _STORED.fullmatch(name)
    if found is None:
        raise BadInput(f"The architecture of {network}, {name}, is none.")
    again = (
        f"fexp networks add {network} --architecture PATH/{found['file']}:{found['function']}, "
        "with the options of then"
    )
    try:
        path = Path(_record(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise NotFound(
            f"{network} is built by {found['file']}, which this user has not named on this "
            f"machine; read it, and say where it is: {again}."
        ) from None
    if not path.is_file():
        raise NotFound(f"{path}, which builds {network}, is not there; say where it is: {again}.")
    own = OwnFile(path, found["function"], _read(path))
    if own.name != name:
        raise BadInput(
            f"{path} is not the file that {network} was registered with; networks never change: "
            "restore it, or register it under another name."
        )
    return _architecture(own)


def _architecture(own: OwnFile) -> Architecture:
    print(f"Running {_shown(own.path)} …", file=sys.stderr, flush=True)
    built = own.run()
    # What was built first is used first: a large network takes seconds.
    spare = [built.module]

    def build() -> nn.Module:
        return spare.pop() if spare else own.run().module

    fields = built.preprocessing
    taken = None if fields is None else preprocessing_of(fields, own.path.name)
    return Architecture(
        name=own.name,
        build=build,
        layers={path: path for path, _ in built.module.named_modules() if path},
        preprocessing=taken,
        training=UNKNOWN,
        read_weights=fitting(own.path.name),
        inputs={} if taken is None else {"module": Input(taken, f"{own.function}() says so")},
        own=own.path,
        code=f"code:{own.path.name}",
        channels_last=False,
        told=own.told,
    )


def _read(path: Path) -> bytes:
    return read_bytes(path, "The file of Python", TEXT_LIMIT)


def _record(name: str) -> Path:
    return cache_folder() / "own_files" / sha256(name.encode()).hexdigest()


def _file_name(path: str) -> str:
    return PureWindowsPath(path).name if sys.platform == "win32" else Path(path).name


def _shown(path: Path) -> str:
    """Write a path without characters that would command a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    return "nothing" if value is None else f"a {type(value).__name__}"


@contextlib.contextmanager
def _as_script(folder: Path, module: ModuleType) -> Iterator[None]:
    """Let a file find what is beside it, print to standard error, and build on the CPU."""
    before = set(sys.modules)
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(folder))
    try:
        with contextlib.redirect_stdout(sys.stderr), torch.device("cpu"):
            yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if _lies_in(folder, sys.modules[name]):
                del sys.modules[name]


def _lies_in(folder: Path, module: ModuleType) -> bool:
    """Whether it is one of the user's modules in a folder, and no package that is installed."""
    file = getattr(module, "__file__", None)
    if file is None or module.__name__.startswith(_PREFIX):
        return False
    inside = folder in Path(file).parents
    return inside and not {"site-packages", "dist-packages"} & set(Path(file).parts)

"""What an analysis is: the record that its command, study section, runs and views derive from."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from fexp_store.options import plain
from fexp_store.warehouse import Warehouse, runs
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Run

On = Place | Sequence[Place]
"""What an analysis is run on: a layer for a set or, where it compares, several."""

SETS = {"stimuli": "stimulus_set", "test": "test_set", "morphs": "morph_set"}
"""Options that name sets, and the columns and parameters that they become."""

_STIMULI_BY_DEFAULT = ("test_set", "selected_on")


@dataclass(frozen=True)
class Analysis:
    """One analysis.

    Parameters
    ----------
    name : str
        Of the command, of ``run`` in study files, and the kind of its runs.
    options : type
        Record of its options.
    run : callable
        Takes a warehouse, what it is run on and options; returns what it found. What its docstring
        says before any section is what the command says of itself.
    tables : tuple of str
        Tables in ``results/`` that it writes, which are also views.
    same_if : tuple of str
        The parameters that set two runs apart: of those alike in all of them, the newest counts.
    shown : callable
        Makes the table that the command prints of what `run` returned.
    said : callable
        Makes the sentences that the command adds.
    reads : callable
        Tells the runs that it would read now, as parameters; a run of other ones is out of date.
    example : str
        Options of an example of the command.
    compares : tuple of str
        The analyses whose results it compares; it is then run on several places at once.
    """

    name: str
    options: type
    run: Callable[[Warehouse, Any, Any], Any]
    tables: tuple[str, ...]
    same_if: tuple[str, ...]
    shown: Callable[[Any], pl.DataFrame]
    said: Callable[[Any], Iterable[str]] = lambda _found: ()
    reads: Callable[[Warehouse, Any, Any], dict[str, Any]] = lambda _wh, _on, _options: {}
    example: str = ""
    compares: tuple[str, ...] = ()

    @property
    def help(self) -> str:
        """What its command says of itself."""
        said = re.split(r"\n\n\w+\n-{3,}\n", inspect.cleandoc(self.run.__doc__ or ""))[0]
        places = "--network dlib_face --layer conv4_3"
        if self.compares:
            places = "dlib_face:conv4_3 dlib_face_untrained:conv4_3"
        example = f"fexp {self.name} {places} --stimuli faces {self.example}".rstrip()
        return f"{said}\n\n{self.views}\n\nExample:\n\n    {example}"

    @property
    def views(self) -> str:
        """Where its results are seen, in words."""
        *others, last = (f"`{table}`" for table in self.tables)
        if not others:
            return f"Stored in the view {last}."
        return f"Stored in the views {', '.join(others)} and {last}."

    def parameters(self, wh: Warehouse, on: On, options: Any) -> dict[str, Any]:
        """Return all that a run is recorded with."""
        place = _place(on)
        found = {SETS.get(name, name): value for name, value in plain(options).items()}
        for name in _STIMULI_BY_DEFAULT:
            if name in found and found[name] is None:
                found[name] = place["stimulus_set"]
        return place | found | self.reads(wh, on, options)

    def key(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return those of a run's parameters that set it apart."""
        return {name: parameters[name] for name in self.same_if}


def begin(wh: Warehouse, analysis: Analysis, on: On, options: Any) -> Run:
    """Begin a run of an analysis."""
    parameters = analysis.parameters(wh, on, options)
    return runs.begin(wh.storage, analysis.name, analysis.key(parameters), parameters)


def _place(on: On) -> dict[str, Any]:
    if isinstance(on, Place):
        return dict(on.columns)
    places = sorted(f"{place.network}:{place.layer}" for place in on)
    return {"networks": places, "stimulus_set": on[0].stimulus_set}

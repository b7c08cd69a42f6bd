"""The stimulus sets of a study: listed in a manifest, rendered, or morphed from another set."""

from __future__ import annotations

from typing import Any

import polars as pl

from fexp_store.continua import Continuum, read_continua
from fexp_store.errors import BadInput, FexpError
from fexp_store.expressions import BASIC
from fexp_store.faces.render import Look
from fexp_store.report.bars import Bar
from fexp_store.report.study_file import Section, Study
from fexp_store.stimuli.made.morphed import morph_set
from fexp_store.stimuli.made.rendered import ATTRIBUTE, Sitting, render_set
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse, tables


def has_set(wh: Warehouse, name: str) -> bool:
    """Whether a set of this name is registered."""
    return not tables.read(wh.storage, "stimuli").filter(stimulus_set=name).is_empty()


def check_set(wh: Warehouse, study: Study, section: Section) -> None:
    """Check that a set is registered as it is declared, or can be made.

    What a registered set was rendered or morphed from is compared with what is declared; a
    manifest is not read again.

    Raises
    ------
    BadInput
        If not; the message gives the line.
    """
    name, manifest = section.values["name"], section.values.get("manifest")
    landmarks = section.values.get("morph", {}).get("landmarks")
    try:
        declared = _declared(section.values)
        if has_set(wh, name):
            known = _registered(read_set(wh, name))
            if any(known[fact] != value for fact, value in declared.items()):
                raise BadInput(
                    f"A set {name} that was not made so is registered already; "
                    "sets never change, so choose another name."
                )
        elif manifest is not None:
            if not (study.directory / manifest).is_file():
                raise BadInput(f"The manifest {manifest} of {name} does not exist.")
        elif landmarks is not None and not (study.directory / landmarks).exists():
            raise BadInput(f"The landmarks {landmarks} of {name} do not exist.")
        elif not declared:
            raise BadInput(f"The set {name} is not registered; give a manifest, render or morph.")
    except FexpError as error:
        raise BadInput(f"{section.where}: {error}") from None


def make_set(wh: Warehouse, study: Study, section: Section, bar: Bar) -> None:
    """Register a set; one that was made before with the same parameters is left as it is."""
    values = section.values
    name = values["name"]
    if "manifest" in values:
        add_manifest(wh, name, study.directory / values["manifest"])
    elif "render" in values:
        render = values["render"]
        with bar(f"Rendering {name}") as started:
            render_set(
                wh,
                name,
                render["identities"],
                render.get("seed", 0),
                neutral=render.get("neutral", False),
                intensity=render.get("intensity", 1.0),
                look=_look(render),
                started=started,
            )
    elif "morph" in values:
        morph = values["morph"]
        landmarks = morph.get("landmarks")
        with bar(f"Morphing {name}") as started:
            morph_set(
                wh,
                morph["of"],
                name,
                _continua(morph),
                levels=morph.get("levels", 101),
                identities=morph.get("identities"),
                landmarks=None if landmarks is None else study.directory / landmarks,
                warped=morph.get("warp", False),
                started=started,
            )


def _look(render: dict[str, Any]) -> Look:
    chosen = ("size", "greyscale", "oval_mask", "jitter", "seed")
    return Look(**{key: render[key] for key in chosen if key in render})


def _continua(morph: dict[str, Any]) -> tuple[Continuum, ...]:
    return read_continua(morph.get("continua", "paper"))


def _declared(values: dict[str, Any]) -> dict[str, Any]:
    """What rendered or morphed images tell of themselves, if they are made as declared."""
    facts: dict[str, Any] = {}
    if "render" in values:
        render = values["render"]
        facts["identities"] = render["identities"]
        facts["expressions"] = len(BASIC) + render.get("neutral", False)
        facts["sitting"] = Sitting(
            render.get("seed", 0), 0, render.get("intensity", 1.0), _look(render)
        )
    elif "morph" in values:
        morph = values["morph"]
        facts |= {"of": morph["of"], "continua": _continua(morph)}
        facts["levels"] = morph.get("levels", 101)
        if "identities" in morph:
            facts["identities"] = morph["identities"]
    return facts


def _registered(rows: pl.DataFrame) -> dict[str, Any]:
    """Return the same of a registered set."""
    written = (rows["attributes"][0] or {}).get(ATTRIBUTE)
    return {
        "identities": rows["identity"].n_unique(),
        "expressions": rows["expression"].n_unique(),
        "sitting": Sitting.from_json(written) if written else None,
        "of": rows["source"][0].removeprefix("morphs of ").split(" (set ")[0],
        "continua": tuple(rows.select("morph_from", "morph_to").unique(maintain_order=True).rows()),
        "levels": rows["morph_level"].n_unique(),
    }

"""Stimulus sets: images verified one by one, registered once, and read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from fexp_store.errors import BadInput, Conflict, NotFound
from fexp_store.stimuli import images
from fexp_store.stimuli.choices import Choice, Doubles, choose
from fexp_store.stimuli.manifests import read_manifest
from fexp_store.stimuli.photographs import Photograph
from fexp_store.warehouse import Warehouse, tables
from fexp_store.warehouse.files import update_local
from fexp_store.warehouse.names import check_name

Started = Callable[[int], Callable[[int], None]]
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "stimulus_id": pl.Int32,
    "image_sha256": pl.String,
    "file": pl.String,
    "identity": pl.String,
    "expression": pl.String,
    "source": pl.String,
    "morph_from": pl.String,
    "morph_to": pl.String,
    "morph_level": pl.Float64,
    "attributes": pl.Map(pl.String, pl.String),
}


def add_manifest(wh: Warehouse, name: str, manifest: Path, *, source: str | None = None) -> bool:
    """Register all images that a manifest lists (see `read_manifest`).

    Every image is decoded before anything is written. The images stay where they are.

    Returns
    -------
    bool
        False if this very set was registered before.

    Raises
    ------
    BadInput
        If a label or an image cannot be used; nothing is registered.
    Conflict
        If the name is taken by other images or labels.
    """
    listed = choose(read_manifest(manifest), Choice(doubles=Doubles.keep))
    return add_photographs(wh, name, manifest.parent, listed, source or manifest.name)


def add_photographs(
    wh: Warehouse,
    name: str,
    directory: Path,
    photographs: Sequence[Photograph],
    source: str,
    *,
    copy: bool = False,
    started: Started = lambda _total: lambda _n: None,
) -> bool:
    """Verify photographs, and register them as a set.

    Parameters
    ----------
    directory : Path
        What the photographs' paths are relative to; it is recorded for this machine only.
    source : str
        Where the images come from.
    copy : bool
        Whether to keep the images in the warehouse's ``images/`` too.
    started : callable, optional
        Called with the number of images; returns a function called with the number verified.

    Returns
    -------
    bool
        False if this very set was registered before.

    Raises
    ------
    BadInput
        If an image cannot be used; nothing is registered.
    Conflict
        If the name is taken by other images or labels.
    """
    check_name("stimulus set", name)
    directory = directory.resolve()
    advance = started(len(photographs))
    rows = []
    for number, photograph in enumerate(photographs):
        digest = _verify(directory / photograph.file)
        rows.append(
            stimulus(
                number,
                digest,
                photograph.identity,
                source,
                file=photograph.file,
                expression=photograph.expression,
                attributes=photograph.attributes,
            )
        )
        advance(1)
    if copy:
        for photograph, row in zip(photographs, rows, strict=True):
            path = directory / photograph.file
            if images.keep(wh.root, images.read(path)) != row["image_sha256"]:
                raise BadInput(f"The image {path} changed while it was registered; add it again.")
    new = register(wh, name, rows)
    update_local(wh.root, images.ROOTS, name, str(directory))
    return new


def _verify(path: Path) -> str:
    content = images.read(path)
    images.check_picture(images.decode(content, str(path)), str(path))
    return sha256(content).hexdigest()


def stimulus(
    number: int,
    image_sha256: str,
    identity: str,
    source: str,
    *,
    file: str | None = None,
    expression: str | None = None,
    morph: tuple[str, str, float] | None = None,
    attributes: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Make a row of a set.

    Parameters
    ----------
    morph : (str, str, float), optional
        Expression at level 0, expression at level 1, and the level; such a row has no expression.
    """
    morph_from, morph_to, morph_level = morph or (None, None, None)
    return {
        "stimulus_id": number,
        "image_sha256": image_sha256,
        "file": file,
        "identity": identity,
        "expression": expression,
        "source": source,
        "morph_from": morph_from,
        "morph_to": morph_to,
        "morph_level": morph_level,
        "attributes": attributes or {},
    }


def register(wh: Warehouse, name: str, rows: list[dict[str, Any]]) -> bool:
    """Register rows (columns of the table ``stimuli`` without set name and hash) as a set.

    Returns
    -------
    bool
        False if this very set was registered before.

    Raises
    ------
    Conflict
        If the name is taken by another set.
    """
    check_name("stimulus set", name)
    set_sha256 = sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()

    def taken() -> bool:
        stored = tables.read(wh.storage, "stimuli").filter(stimulus_set=name)
        if stored.is_empty():
            return False
        if stored["set_sha256"][0] != set_sha256:
            raise Conflict(
                f"A stimulus set {name} with other images or labels is registered already; "
                "sets never change, so choose another name."
            )
        return True

    frame = pl.DataFrame(rows, schema=_SCHEMA).select(
        pl.lit(name).alias("stimulus_set"), pl.lit(set_sha256).alias("set_sha256"), pl.all()
    )
    return tables.append(wh.storage, "stimuli", frame, key=f"stimuli/{name}", unless=taken)


def made_before(wh: Warehouse, name: str, source: str, count: int) -> bool:
    """Whether a set was made before with the same parameters, which its source tells.

    Raises
    ------
    Conflict
        If the name is taken by another set.
    """
    stored = tables.read(wh.storage, "stimuli").filter(stimulus_set=name)
    if stored.is_empty():
        return False
    if stored["source"][0] != source or stored.height != count:
        raise Conflict(
            f"A stimulus set {name} that was not made with these parameters is registered "
            "already; sets never change, so choose another name."
        )
    return True


def read_set(wh: Warehouse, name: str) -> pl.DataFrame:
    """Return the rows of a registered set in order of stimulus_id.

    Raises
    ------
    NotFound
        If there is no such set; the message lists those there are.
    """
    rows = wh.frame("FROM stimuli WHERE stimulus_set = $name ORDER BY stimulus_id", name=name)
    if rows.is_empty():
        known = wh.frame("SELECT DISTINCT stimulus_set FROM stimuli ORDER BY ALL")
        listed = ", ".join(known["stimulus_set"]) or "none yet"
        raise NotFound(f"There is no stimulus set {name!r}; registered: {listed}.")
    return rows

"""Registering and reading stimulus sets."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from fexp_store.errors import BadInput, Conflict, NotFound
from fexp_store.stimuli import images
from fexp_store.stimuli.expressions import check_expression
from fexp_store.warehouse import Warehouse, tables
from fexp_store.warehouse.files import update_local
from fexp_store.warehouse.names import check_name

_LABELS = ("identity", "expression")
_MORPH = {"morph_from": pl.String, "morph_to": pl.String, "morph_level": pl.Float64}
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "stimulus_id": pl.Int32,
    "image_sha256": pl.String,
    "file": pl.String,
    "identity": pl.String,
    "expression": pl.String,
    "source": pl.String,
    **_MORPH,
    "attributes": pl.Map(pl.String, pl.String),
}


def read_manifest(path: Path) -> pl.DataFrame:
    """Read a manifest of images.

    Parameters
    ----------
    path : Path
        A CSV file with the columns path (relative to the file), identity and expression; any
        further column becomes an attribute.

    Returns
    -------
    DataFrame
        One row per image, all columns as strings.
    """
    try:
        rows = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise BadInput(f"The manifest {path} does not exist.") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"The manifest {path} is no CSV file that can be read: {reason}.") from None
    missing = [column for column in ("path", *_LABELS) if column not in rows.columns]
    if missing:
        raise BadInput(
            f"The manifest {path} has no column {missing[0]!r}; "
            "it needs path, identity and expression."
        )
    if rows.is_empty():
        raise BadInput(f"The manifest {path} lists no images.")
    return rows


def add_manifest(wh: Warehouse, name: str, manifest: Path, *, source: str | None = None) -> bool:
    """Register the images that a CSV manifest lists (see `read_manifest`).

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
    check_name("stimulus set", name)
    listed = read_manifest(manifest)
    directory = manifest.resolve().parent
    rows = [
        _row(i, row, directory, source or manifest.name)
        for i, row in enumerate(listed.iter_rows(named=True))
    ]
    new = register(wh, name, rows)
    update_local(wh.root, images.ROOTS, name, str(directory))
    return new


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
        stored = tables.read(wh.root, "stimuli").filter(stimulus_set=name)
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
    return tables.append(wh.root, "stimuli", frame, key=f"stimuli/{name}", unless=taken)


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


def _row(
    number: int, listed: dict[str, str | None], directory: Path, source: str
) -> dict[str, Any]:
    values = {key: value.strip() for key, value in listed.items() if value and value.strip()}
    for key in ("path", *_LABELS):
        if key not in values:
            raise BadInput(f"Row {number + 1} of the manifest has no {key}.")
    file = values.pop("path")
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise BadInput(f"The path {file!r} of the manifest leaves the manifest's own directory.")
    content = images.read(directory / file)
    images.decode(content, str(directory / file))
    return {
        "stimulus_id": number,
        "image_sha256": sha256(content).hexdigest(),
        "file": Path(file).as_posix(),
        "identity": values.pop("identity"),
        "expression": check_expression(values.pop("expression")),
        "source": source,
        **dict.fromkeys(_MORPH),
        "attributes": values,
    }

"""Photographs of a directory or a manifest, verified one by one and registered as a set."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from fexp_store.errors import BadInput
from fexp_store.progress import Started, silent
from fexp_store.stimuli import images
from fexp_store.stimuli.photographs.filters import Choice, Doubles, choose
from fexp_store.stimuli.photographs.listing import Photograph
from fexp_store.stimuli.photographs.manifests import read_manifest
from fexp_store.stimuli.sets import register, stimulus
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.names import check_name


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
    started: Started = silent,
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
            if images.keep(wh.storage, images.read(path)) != row["image_sha256"]:
                raise BadInput(f"The image {path} changed while it was registered; add it again.")
    new = register(wh, name, rows)
    wh.storage.update_local(images.ROOTS, name, str(directory))
    return new


def _verify(path: Path) -> str:
    content = images.read(path)
    images.check_picture(images.decode(content, str(path)), str(path))
    return sha256(content).hexdigest()

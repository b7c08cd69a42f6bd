"""What is not in tables: kept images, the marker, the catalog and records of this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import polars as pl

from fexp_store.errors import FexpError
from fexp_store.outputs import MARKER
from fexp_store.progress import Advance
from fexp_store.warehouse import checked
from fexp_store.warehouse.catalog import FILE_NAME
from fexp_store.warehouse.root import FORMAT_VERSION
from fexp_store.warehouse.sets import IMAGES, kept_path
from fexp_store.warehouse.storage import Storage
from fexp_store.warehouse.verify.fault import REPAIR, RESTORE, Fault, Kind

_DIGEST = re.compile(r"[0-9a-f]{64}")
_AWAY = "Delete it, or move it out of the warehouse."
_AGAIN = f"{REPAIR} Or run again what had made the set {{0}}."


def kept_images(storage: Storage) -> list[str]:
    """Return the files in the folder of kept images, but those that are being written."""
    return [path for path in storage.files(IMAGES) if not storage.temporary(path)]


def image_faults(storage: Storage, paths: list[str], advance: Advance) -> Iterator[Fault]:
    """Compare kept images with the SHA-256 that they are named by; remember those that are."""
    right = {}
    for path in paths:
        name = path.rpartition("/")[2]
        if not _DIGEST.fullmatch(name) or path != kept_path(name):
            yield Fault(Kind.image, path, "Its name is not that of a kept image.", _AWAY)
            continue
        digest = storage.sha256(path, advance)
        if digest == name:
            right[path] = digest
        else:
            yield Fault(Kind.image, path, "It is not the image that was kept.", REPAIR)
    checked.remember(storage, right)


def missing_images(storage: Storage, stimuli: pl.DataFrame | None) -> Iterator[Fault]:
    """Give the images that were kept, as their sets say, and are not there."""
    if stimuli is None:
        return
    kept = pl.col("file").is_null() | pl.col("recipe").str.contains('"copy": true', literal=True)
    needed = stimuli.filter(kept).unique("image_sha256").sort("image_sha256")
    rows = needed.select("image_sha256", "stimulus_set").rows()
    there = storage.signatures(kept_path(digest) for digest, _ in rows)
    for digest, name in rows:
        if (path := kept_path(digest)) not in there:
            yield Fault(Kind.image, path, f"This image of {name} is missing.", _AGAIN.format(name))


def marker_faults(storage: Storage) -> Iterator[Fault]:
    """Look whether the marker says what this version writes."""
    try:
        marker = json.loads(storage.read(MARKER).decode())
        version, identifier = marker["format_version"], marker["warehouse_id"]
        if type(version) is not int or not isinstance(identifier, str) or len(marker) != 2:
            raise ValueError("it says other things")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, FexpError) as error:
        missing = isinstance(error, FileNotFoundError)
        said = "It is missing." if missing else f"It is not as it was made ({error})."
        yield Fault(Kind.marker, MARKER, said, REPAIR)
        return
    if not 1 <= version <= FORMAT_VERSION:
        said = f"It says format {version}, and this fexp-store knows 1 to {FORMAT_VERSION}."
        remedy = "Install a newer fexp-store; if nobody used one here, restore it from a copy."
        yield Fault(Kind.marker, MARKER, said, remedy)


def catalog_faults(storage: Storage, advance: Advance) -> Iterator[Fault]:
    """Compare the catalog with the one that this user built; any other one is never believed."""
    built = checked.known(storage, [FILE_NAME]).get(FILE_NAME)
    if built is not None and storage.sha256(FILE_NAME, advance) != built:
        yield Fault(Kind.catalog, FILE_NAME, "It is not as it was built.", "Run: fexp index")


def record_faults(storage: Storage) -> Iterator[Fault]:
    """Read the records of this machine."""
    for name in storage.names(".local"):
        if name.endswith(".json"):
            try:
                record = storage.read_local(name.removesuffix(".json"))
                if not all(isinstance(value, str) for value in record.values()):
                    raise ValueError("it says other things")
            except (OSError, ValueError, AttributeError, FexpError) as error:
                said = f"It cannot be read ({error})."
                yield Fault(Kind.record, f".local/{name}", said, f"{RESTORE} {_REGISTER}")


_REGISTER = "Or delete it, and run again what had named places on this machine (fexp stimuli add)."

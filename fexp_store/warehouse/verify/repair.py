"""Mending what `verify` found: what is damaged leaves the logs, so that it can be had again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path

import polars as pl

from fexp_store import given
from fexp_store.errors import FexpError
from fexp_store.warehouse import catalog, checked, contents, root
from fexp_store.warehouse.activations.adopt import adopt
from fexp_store.warehouse.activations.fragment import TABLE
from fexp_store.warehouse.contents import Contents
from fexp_store.warehouse.networks import IMPORTED
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.sets import ROOTS, kept_path
from fexp_store.warehouse.storage import Storage, inside
from fexp_store.warehouse.verify import removal
from fexp_store.warehouse.verify.fault import Fault, Kind
from fexp_store.warehouse.verify.logs import CHECKPOINTS

_IMAGE_BYTES = 400 << 20


def repair(
    storage: Storage, faults: Collection[Fault], unverified: Collection[Fault] = ()
) -> dict[Fault, str]:
    """Mend faults as far as that is possible, and record files of activations of others.

    Files that are damaged leave the logs; nothing that is right does, and nothing is deleted but
    images that are not what their names say, and checkpoints, which repeat what commits say.

    Returns
    -------
    dict
        A sentence on each fault that is mended: what was done, and what brings back what was lost.
        The others need what their remedies say.
    """
    storage.demand_writable()
    done: dict[Fault, str] = {}
    by_kind = {kind: [fault for fault in faults if fault.what is kind] for kind in Kind}
    done |= {f: said for f in by_kind[Kind.marker] if (said := _marker(storage, f))}
    done |= {f: said for f in by_kind[Kind.checkpoint] if (said := _checkpoint(storage, f))}
    found = contents.read(storage)
    done |= {f: said for f in by_kind[Kind.image] if (said := _image(storage, found, f))}
    done |= _files(storage, found, [*by_kind[Kind.activations], *by_kind[Kind.part]])
    if any(fault.what is Kind.activations for fault in unverified):
        adopted = set(adopt(storage).adopted)
        done |= {f: "It is recorded now." for f in unverified if f.where in adopted}
    if by_kind[Kind.catalog] or done:
        catalog.build(storage)
        done |= dict.fromkeys(by_kind[Kind.catalog], "It was built anew.")
    return done


def _marker(storage: Storage, fault: Fault) -> str | None:
    if fault.remedy != checked.REMEDY:  # it is whole, and of a version that is not known
        return None
    root.mark(storage)
    return "It was written anew."


def _checkpoint(storage: Storage, fault: Fault) -> str | None:
    folder = fault.where.split("/_delta_log")[0] + "/_delta_log"
    for name in storage.names(folder):
        if CHECKPOINTS.fullmatch(name):
            storage.delete(f"{folder}/{name}")
    return "The checkpoints of this log were deleted; its commits say it all."


def _image(storage: Storage, found: Contents, fault: Fault) -> str | None:
    """Take a kept image from where it was."""
    digest = fault.where.rpartition("/")[2]
    if fault.where != kept_path(digest) or "stimuli" not in found.rows:
        return None
    storage.delete(fault.where)
    rows = found.rows["stimuli"].filter(pl.col("file").is_not_null(), image_sha256=digest)
    roots = storage.read_local(ROOTS)
    for name, file in rows.select("stimulus_set", "file").iter_rows():
        try:
            content = given.read_bytes(inside(Path(roots[name]), file), "The image", _IMAGE_BYTES)
        except (KeyError, FexpError):
            continue
        if sha256(content).hexdigest() == digest:
            storage.write(fault.where, content)
            return "It was copied again from where it had been."
    sets = found.rows["stimuli"].filter(image_sha256=digest)["stimulus_set"].unique().sort()
    if sets.is_empty():
        return "It was deleted; no set has it."
    return f"What was there is deleted; run again what had made the set {sets[0]}."


def _files(storage: Storage, found: Contents, faults: Collection[Fault]) -> dict[Fault, str]:
    """Take files out of logs, and runs that have lost results out of those that count."""
    listed = {
        f"{folder}/{row['path']}": (folder, row)
        for folder, kept in (found.kept | found.saved).items()
        for row in kept.files.iter_rows(named=True)
    }
    lost = {fault: listed[fault.where] for fault in faults if fault.where in listed}
    lost_runs = {row["run_id"] for _, row in lost.values() if row.get("run_id") is not None}
    gone: dict[str, list[str]] = {}
    damaged = {fault.where for fault in lost}
    for file, (folder, row) in listed.items():
        if file in damaged or row.get("run_id") in lost_runs:
            gone.setdefault(folder, []).append(row["path"])
    for folder, paths in gone.items():
        removal.take_out(storage, folder, paths)
    removal.forget(storage, lost_runs)
    return {fault: _said(found, folder, row) for fault, (folder, row) in lost.items()}


_HOW = {
    "networks": "Register what is missing again: fexp networks add",
    "stimuli": "Make the sets that are missing again: fexp stimuli",
    "landmarks": "Run again what had found the landmarks: fexp stimuli",
    "responses": "Register the responses that are missing again: fexp responses add",
    "runs": "The runs that were in it do not count: run those analyses again.",
    "fragments": "The activations that it described are read as before, and are unverified.",
}


def _said(found: Contents, folder: str, row: Mapping[str, object]) -> str:
    """Say what brings back what was in a file."""
    done = "It was taken out of the log."
    if folder == TABLE:
        place = Place(*(str(row[name]) for name in Place._fields))
        networks = found.rows.get("networks", pl.DataFrame(schema={"network": pl.String}))
        imported = networks.filter(network=place.network, architecture=IMPORTED)
        if not imported.is_empty():
            return f"{done} Import it again: fexp import {place.as_arguments}"
        return f"{done} Run: fexp ingest {place.as_arguments}"
    if row.get("run_id") is not None:
        return f"{done} The run {row['run_id']} does not count any more: run the analysis again."
    return f"{done} {_HOW.get(folder, '')}".strip()

"""Why a fragment is a hit or a miss: which input differs from the nearest that is stored."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import polars as pl

from fexp_store import schemas
from fexp_store.ingest.plan import Piece
from fexp_store.ingest.request import Prepared
from fexp_store.warehouse import Warehouse

_SCHEMA = {
    "layer": pl.String,
    "stimulus_start": pl.Int64,
    "stimulus_stop": pl.Int64,
    "outcome": pl.String,
    "why": pl.String,
}


def explain(wh: Warehouse, prepared: Prepared, layers: list[str]) -> pl.DataFrame:
    """Say of every fragment of an ingest whether it is stored, and if not, what is different.

    Returns
    -------
    DataFrame
        layer, stimulus_start, stimulus_stop, outcome (hit or miss) and why.
    """
    here = (prepared.network.network, prepared.stimulus_set)
    rows = []
    for layer in dict.fromkeys(layers):
        stored = wh.frame(schemas.sql("queries")["stored_content"], layer=layer).to_dicts()
        pieces = list(prepared.plan.pieces(prepared.network.layer(layer)))
        own = [f for f in stored if (f["network"], f["stimulus_set"]) == here]
        lost = [f for f in own if any(_overlap(piece, f) for piece in pieces)]
        rows += [_hit(prepared, layer, fragment) for fragment in own if fragment not in lost]
        for piece in pieces:
            gone = [f["path"] for f in lost if _overlap(piece, f)]
            why = f"its file is gone: {gone[0]}" if gone else _why_missing(prepared, piece, stored)
            rows.append((layer, piece.start, piece.stop, "miss", why))
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return frame.sort("layer", "stimulus_start", maintain_order=True)


def _overlap(piece: Piece, fragment: dict[str, Any]) -> bool:
    return bool(piece.start < fragment["stimulus_stop"] and fragment["stimulus_start"] < piece.stop)


def _hit(prepared: Prepared, layer: str, fragment: dict[str, Any]) -> tuple[Any, ...]:
    start, stop = fragment["stimulus_start"], fragment["stimulus_stop"]
    if fragment["fragment_id"] is None:
        return layer, start, stop, "hit", "stored, in a file that another program wrote"
    content, images = prepared.content_id(layer), prepared.images(start, stop)
    units = fragment["unit_start"], fragment["unit_stop"]
    known = {content.fragment_id(images, units), content.fragment_id(images, None)}
    same = fragment["fragment_id"] in known
    named = f"fragment {fragment['fragment_id'][:12]} is stored"
    why = named if same else "the stored fragment is of other inputs"
    return layer, start, stop, "hit" if same else "conflict", why


def _why_missing(prepared: Prepared, piece: Piece, stored: list[dict[str, Any]]) -> str:
    known = [fragment for fragment in stored if fragment["fragment_id"] is not None]
    compared = [(_differences(prepared, piece, fragment), fragment) for fragment in known]
    if not compared:
        return f"nothing of a layer {piece.layer.name} is stored"
    differences, nearest = min(compared, key=lambda pair: len(pair[0]))
    name = f"{nearest['network']} for {nearest['stimulus_set']}"
    range_ = f"{nearest['stimulus_start']}-{nearest['stimulus_stop']}"
    if differences:
        return f"nearest is {name} {range_}, with other {'; '.join(differences)}"
    return f"the same content is stored under {name}"


def _differences(prepared: Prepared, piece: Piece, fragment: dict[str, Any]) -> list[str]:
    """Name the inputs in which a stored fragment differs from the one that is wanted."""
    wanted = asdict(prepared.content_id(piece.layer.name))
    found = [
        key
        for key in ("architecture", "weights_sha256", "keep_bits", "precision")
        if wanted[key] != fragment[key]
    ]
    old, new = json.loads(fragment["preprocessing"]), json.loads(wanted["preprocessing"])
    found += [
        f"preprocessing.{key} ({new.get(key)} here, {old.get(key)} there)"
        for key in sorted(new.keys() | old.keys())
        if new.get(key) != old.get(key)
    ]
    return found + _other_images(prepared, piece, fragment)


def _other_images(prepared: Prepared, piece: Piece, fragment: dict[str, Any]) -> list[str]:
    first = fragment["stimulus_start"]
    there = dict(enumerate(fragment["images"], first))
    here = dict(enumerate(prepared.images(piece.start, piece.stop), piece.start))
    if not there.keys() & here.keys():
        return [f"stimuli ({piece.start}-{piece.stop} here)"]
    other = sorted(i for i in here if there.get(i) != here[i])
    if not other:
        return []
    named = ", ".join(map(str, other[:5])) + (", …" if len(other) > 5 else "")
    return [f"images ({len(other)} of {len(here)}: stimulus {named})"]

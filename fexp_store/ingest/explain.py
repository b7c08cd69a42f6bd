"""Why a fragment is a hit or a miss: which input differs from the nearest that is stored."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import polars as pl

from fexp_store import schemas
from fexp_store.ingest.plan import Span
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
    rows = []
    for layer in dict.fromkeys(layers):
        query = schemas.sql("queries")["stored_content"]
        stored = wh.frame(query, layer=layer).to_dicts()
        here = (prepared.network.network, prepared.stimulus_set)
        for fragment in stored:
            if (fragment["network"], fragment["stimulus_set"]) == here:
                rows.append(_hit(prepared, layer, fragment))
        for span in prepared.spans:
            if layer in {wanted.name for wanted in span.layers}:
                rows.append(_miss(prepared, layer, span, stored))
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return frame.sort("layer", "stimulus_start", maintain_order=True)


def _hit(prepared: Prepared, layer: str, fragment: dict[str, Any]) -> tuple[Any, ...]:
    start, stop = fragment["stimulus_start"], fragment["stimulus_stop"]
    if fragment["fragment_id"] is None:
        return layer, start, stop, "hit", "stored, in a file that another program wrote"
    content = prepared.content_id(layer).fragment_id(prepared.images(start, stop))
    same = content == fragment["fragment_id"]
    why = f"fragment {content[:12]} is stored" if same else "the stored fragment is of other inputs"
    return layer, start, stop, "hit" if same else "conflict", why


def _miss(
    prepared: Prepared, layer: str, span: Span, stored: list[dict[str, Any]]
) -> tuple[Any, ...]:
    known = [fragment for fragment in stored if fragment["fragment_id"] is not None]
    compared = [(_differences(prepared, layer, span, fragment), fragment) for fragment in known]
    if not compared:
        why = f"nothing of a layer {layer} is stored"
    else:
        differences, nearest = min(compared, key=lambda pair: len(pair[0]))
        name = f"{nearest['network']} for {nearest['stimulus_set']}"
        range_ = f"{nearest['stimulus_start']}-{nearest['stimulus_stop']}"
        why = (
            f"nearest is {name} {range_}, with other {'; '.join(differences)}"
            if differences
            else f"the same content is stored under {name}"
        )
    return layer, span.start, span.stop, "miss", why


def _differences(prepared: Prepared, layer: str, span: Span, fragment: dict[str, Any]) -> list[str]:
    """Name the inputs in which a stored fragment differs from the one that is wanted."""
    wanted = asdict(prepared.content_id(layer))
    found = [
        key
        for key in ("architecture", "weights_sha256", "keep_bits", "precision")
        if wanted[key] != fragment[key]
    ]
    old, new = json.loads(fragment["preprocessing"]), json.loads(wanted["preprocessing"])
    found += [
        f"preprocessing.{key} ({new[key]} here, {old[key]} there)"
        for key in sorted(new)
        if new[key] != old[key]
    ]
    return found + _other_images(prepared, span, fragment)


def _other_images(prepared: Prepared, span: Span, fragment: dict[str, Any]) -> list[str]:
    first = fragment["stimulus_start"]
    there = dict(enumerate(fragment["images"], first))
    here = dict(enumerate(prepared.images(span.start, span.stop), span.start))
    if not there.keys() & here.keys():
        return [f"stimuli ({span.start}-{span.stop} here)"]
    other = sorted(i for i in here if there.get(i) != here[i])
    if not other:
        return []
    named = ", ".join(map(str, other[:5])) + (", …" if len(other) > 5 else "")
    return [f"images ({len(other)} of {len(here)}: stimulus {named})"]

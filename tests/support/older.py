"""Warehouses as earlier versions wrote them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from fexp_store import Warehouse, schemas
from fexp_store.warehouse import delta, saved, tables

ADDED = {
    "stimuli": ["recipe", "licence", "citation"],
    "networks": ["licence", "citation"],
    "runs": ["key"],
    "results/comparison": ["layer_a", "layer_b"],
}
"""Columns that warehouses of format 1 lack."""


def make_older(wh: Warehouse) -> None:
    """Make a warehouse one of format 1: without some columns, and with files of other names.

    As then, each log begins with the place where its table was made.
    """
    for name in (n for n in delta.names() if n != "activations"):
        schema = schemas.tables()[name]
        kept = [field for field in schema.arrow if field.name not in ADDED.get(name, [])]
        fields = [field.with_metadata({"comment": "As it was put then."}) for field in kept]
        rows = pa.table(tables.read(wh.storage, name).to_arrow()).select([f.name for f in kept])
        if name == "runs":  # none has seen the table that was not there yet
            seen = pl.Series(rows["input_versions"]).str.replace('"landmarks": 0, ', "").to_arrow()
            place = rows.column_names.index("input_versions")
            rows = rows.set_column(place, "input_versions", [seen])
        _write_anew(Path(wh.storage.uri(name)), pa.schema(fields), rows, schema.partition_by)
    for name in saved.names(wh.storage):
        path = Path(wh.storage.uri(f"{saved.FOLDER}/{name}"))
        rows = DeltaTable(path).to_pyarrow_table()
        _write_anew(path, rows.schema, rows, ("run_id",))
    shutil.rmtree(wh.storage.uri("landmarks"))
    first = Path(wh.storage.uri("activations/_delta_log"), f"{0:020}.json")
    lines = first.read_text().splitlines()
    (said,) = [number for number, line in enumerate(lines) if "commitInfo" in line]
    info = json.loads(lines[said])
    info["commitInfo"].setdefault("operationParameters", {})["location"] = (
        f"file://{wh.storage.uri('activations')}/"
    )
    lines[said] = json.dumps(info)
    first.write_text("\n".join(lines))
    marker = Path(wh.location) / "warehouse.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"format_version": 1}))


def _write_anew(path: Path, schema: pa.Schema, rows: pa.Table, keys: tuple[str, ...]) -> None:
    shutil.rmtree(path)
    DeltaTable.create(path, schema, partition_by=list(keys))
    bare = pa.schema([field.remove_metadata() for field in schema])
    half = rows.num_rows // 2
    for some in (rows.slice(0, half), rows.slice(half)):
        if some.num_rows:
            write_deltalake(path, some.cast(bare), mode="append")

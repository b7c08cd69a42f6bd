"""What `fexp status` says: what is stored, complete or not, how large, and what is wrong."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from support.planted import add_network, plant, prototype_rows, register_rows
from support.writing import Fexp

from fexp_store import Warehouse
from fexp_store.warehouse.status import Status, status
from fexp_store.warehouse.verify.verify import verify

HERE = pl.col("layer") == "conv4_3"


def row(found: Status) -> dict[str, object]:
    """What is said of the layer conv4_3."""
    return found.layers.row(by_predicate=HERE, named=True)


def file_of(wh: Warehouse) -> Path:
    path = wh.frame("SELECT path FROM fragments WHERE layer = 'conv4_3'")["path"].item()
    return Path(wh.location) / "activations" / path


def test_a_whole_warehouse_is_complete(ingested: Warehouse) -> None:
    found = status(ingested.storage)
    assert found.layers["layer"].to_list() == ["conv4_3", "conv4_3:pre", "embedding"]
    assert set(found.layers["state"]) == {"complete"}
    told = {name: row(found)[name] for name in ("stored", "stimuli", "files", "bytes")}
    size = file_of(ingested).stat().st_size
    assert told == {"stored": 48, "stimuli": 48, "files": 1, "bytes": size}
    assert found.broken == {}
    assert not found.upgradable


def test_the_sizes_of_all_kinds_are_those_on_the_disk(ingested: Warehouse) -> None:
    kinds = status(ingested.storage).kinds
    files = [Path(f) / n for f, _, names in os.walk(ingested.location) for n in names]
    assert kinds["files"].sum() == len(files)
    assert kinds["bytes"].sum() == sum(file.stat().st_size for file in files)
    assert {"activations", "stimuli", "networks", "fragments", "runs"} <= set(kinds["kind"])


def test_stimuli_that_are_missing_are_counted(empty: Warehouse) -> None:
    register_rows(empty, "set1", prototype_rows(["a", "b"]))
    add_network(empty, "net", 5)
    plant(empty, "net", "set1", pl.DataFrame({str(i): [float(i)] * 7 for i in range(5)}).to_numpy())
    ((*place, stored, stimuli, state), *_) = (
        status(empty.storage)
        .layers.select("network", "layer", "stimulus_set", "stored", "stimuli", "state")
        .rows()
    )
    assert place == ["net", "planted", "set1"]
    assert (stored, stimuli, state) == (7, 12, "incomplete")


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_damaged_file_is_counted_and_costs_its_own_layer_only(
    own_copy: Warehouse, harm: str
) -> None:
    file = file_of(own_copy)
    file.unlink() if harm == "gone" else os.truncate(file, 100)
    found = status(own_copy.storage)
    assert (row(found)["state"], row(found)["damaged"]) == ("damaged", 1)
    assert set(found.layers.filter(~HERE)["state"]) == {"complete"}


def test_what_was_hashed_here_is_verified_and_a_copy_is_not(own_copy: Warehouse) -> None:
    assert row(status(own_copy.storage))["unverified"] == 1
    own_copy.matrix("dlib", "conv4_3", "set1", units=[0])
    assert row(status(own_copy.storage))["unverified"] == 0


def test_what_another_program_wrote_is_foreign(own_copy: Warehouse) -> None:
    table = DeltaTable(f"{own_copy.location}/activations")
    table.optimize.z_order(["stimulus_id"])
    found = status(own_copy.storage)
    assert found.layers["foreign"].to_list() == [1, 1, 1]
    assert set(found.layers["state"]) == {"complete"}


def test_orphans_are_a_kind(own_copy: Warehouse) -> None:
    lost = Path(own_copy.location) / "activations" / "part-lost.parquet"
    lost.write_bytes(b"12345")
    assert "orphans" not in set(status(own_copy.storage).kinds["kind"])  # yet: an ingest's, maybe
    os.utime(lost, (0, 0))
    kinds = status(own_copy.storage).kinds
    assert kinds.row(by_predicate=pl.col("kind") == "orphans") == ("orphans", 1, 5)


@pytest.mark.parametrize("table", ["networks", "stimuli", "fragments", "activations", "runs"])
def test_a_table_that_cannot_be_read_is_named_and_the_rest_is_told(
    own_copy: Warehouse, table: str
) -> None:
    log = Path(own_copy.location) / table / "_delta_log"
    for file in log.iterdir():
        file.write_bytes(b"no log")
    found = status(own_copy.storage)
    assert list(found.broken) == [table]
    assert table in found.broken[table]
    assert found.kinds["bytes"].sum() > 0


def test_the_command_says_it_in_json_and_names_what_is_wrong(
    fexp: Fexp, own_copy: Warehouse
) -> None:
    file_of(own_copy).unlink()
    done = fexp("-w", own_copy.location, "status", "--format", "json")
    assert done.returncode == 0
    states = {layer["layer"]: layer["state"] for layer in json.loads(done.stdout)}
    assert states == {"conv4_3": "damaged", "conv4_3:pre": "complete", "embedding": "complete"}
    assert "fexp verify" in done.stderr
    kinds = fexp("-w", own_copy.location, "status", "--kinds", "--format", "json")
    assert {"activations", "runs"} <= {kind["kind"] for kind in json.loads(kinds.stdout)}


def test_when_all_was_found_right_here_is_said(own_copy: Warehouse, fexp: Fexp) -> None:
    assert status(own_copy.storage).verified is None
    said = fexp("-w", own_copy.location, "status").stderr
    assert "never verified by you on this machine: fexp verify" in said
    begun = datetime.now(UTC)
    verify(own_copy.storage)
    when = status(own_copy.storage).verified
    assert when is not None
    assert begun <= when <= datetime.now(UTC)
    said = fexp("-w", own_copy.location, "status").stderr
    assert f"verified on {when.astimezone():%Y-%m-%d %H:%M}." in said


def test_where_all_is_right_the_table_fits_a_terminal(own_copy: Warehouse, fexp: Fexp) -> None:
    verify(own_copy.storage)  # so that nothing is unverified
    done = fexp("-w", own_copy.location, "status")
    columns = done.stdout.split("\n")[1].split()
    assert columns == ["network", "layer", "stimulus_set", "stimuli", "state", "MB"]
    assert max(map(len, done.stdout.splitlines())) <= 80
    (first, *_) = json.loads(fexp("-w", own_copy.location, "status", "-f", "json").stdout)
    assert [*first] == status(own_copy.storage).layers.columns
    file_of(own_copy).unlink()
    assert {"stored", "damaged"} <= {*fexp("-w", own_copy.location, "status").stdout.split()}

"""Tables that another Delta client rewrote answer as before, and never wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.transaction import AddAction, RemoveAction
from numpy.typing import NDArray
from support.planted import add_network, prototype_rows, register_rows
from support.writing import write_fragment

from fexp_store import Conflict, Damaged, FexpError, Warehouse
from fexp_store.analyses.selectivity.select import Options, select
from fexp_store.warehouse import delta
from fexp_store.warehouse.activations.adopt import adopt
from fexp_store.warehouse.activations.commit import commit, stored_ranges
from fexp_store.warehouse.place import Place

N, UNITS = 24, 40
HERE = Place("theirs", "mid:pre", "faces")
Rewrite = Callable[[DeltaTable], object]


@pytest.fixture
def values() -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=(N, UNITS)).astype(np.float32)


@pytest.fixture
def wh(empty: Warehouse, values: NDArray[np.float32]) -> Warehouse:
    """A layer in four files, another in one, and a table of many small files."""
    register_rows(empty, "faces", prototype_rows(["anna", "ben", "carl", "dora"]))
    add_network(empty, "theirs", UNITS, layers=(HERE.layer,))
    for start in range(0, N, 6):
        commit(empty.storage, [write_fragment(empty, values[start : start + 6], start, HERE)])
    empty.put("other", "top", "faces", values[:, ::-1])
    return empty


def table(wh: Warehouse, name: str = "activations") -> DeltaTable:
    return DeltaTable(wh.storage.uri(name))


def z_order(t: DeltaTable) -> object:
    return t.optimize.z_order(["stimulus_id", "unit_id"])


def compact(t: DeltaTable) -> object:
    return t.optimize.compact()


def in_small_files(t: DeltaTable) -> object:
    return t.optimize.z_order(["unit_id"], target_size=1)


def without_statistics(t: DeltaTable) -> object:
    t.alter.set_table_properties({"delta.dataSkippingNumIndexedCols": "0"})
    return t.optimize.compact()


def one_value(t: DeltaTable) -> object:
    """As it was: the file is written anew, and nothing else is different."""
    return t.update(updates={"activation": "activation"}, predicate="stimulus_id = 7")


def shuffled(t: DeltaTable) -> object:
    rows = pl.DataFrame(t.to_pyarrow_dataset().to_table()).sample(fraction=1, shuffle=True, seed=1)
    return write_deltalake(t, rows, mode="overwrite")


def with_a_column_more(t: DeltaTable) -> object:
    rows = pl.DataFrame(t.to_pyarrow_dataset().to_table()).with_columns(note=pl.lit("theirs"))
    return write_deltalake(t, rows, mode="overwrite", schema_mode="overwrite")


def elsewhere(t: DeltaTable) -> object:
    """The path of a file says nothing of its partition, or says it otherwise than we do."""
    root = Path(t.table_uri.removeprefix("file://"))
    adds, removes = [], []
    for number, row in enumerate(pl.DataFrame(t.get_add_actions(flatten=True)).to_dicts()):
        old, size = unquote(row["path"]), row["size_bytes"]
        new = f"theirs/layer={'mid:pre' if number % 2 else 'x'}/{number}.parquet"
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)
        values = {name: row[f"partition.{name}"] for name in Place._fields}
        statistics = json.dumps({"numRecords": row["num_records"]} if number % 3 else {})
        adds.append(AddAction(new, size, values, 1, True, statistics))
        removes.append(
            RemoveAction(old, True, deletion_timestamp=1, partition_values=values, size=size)
        )
    schema = t.schema().to_arrow()
    return t.create_write_transaction([*adds, *removes], "append", pa.schema(schema))


REWRITES: list[Rewrite] = [
    elsewhere,
    z_order,
    compact,
    in_small_files,
    without_statistics,
    one_value,
    shuffled,
    with_a_column_more,
]


@pytest.fixture(params=REWRITES, ids=lambda rewrite: rewrite.__name__)
def rewritten(request: pytest.FixtureRequest, wh: Warehouse) -> Warehouse:
    request.param(table(wh))
    return wh


def test_everything_reads_as_before(rewritten: Warehouse, values: NDArray[np.float32]) -> None:
    wh = rewritten
    assert np.array_equal(wh.matrix(*HERE).values, values)
    assert np.array_equal(wh.matrix("other", "top", "faces").values, values[:, ::-1])
    some = wh.matrix(*HERE, units=[3, 4, 39])
    assert np.array_equal(some.values, values[:, [3, 4, 39]])
    assert some.stimuli["stimulus_id"].to_list() == list(range(N))
    blocks = list(wh.matrix_blocks(*HERE, block_bytes=4 * N * 7))
    assert len(blocks) == 6
    assert np.array_equal(np.hstack([b.values for b in blocks]), values)
    query = "SELECT activation FROM activations WHERE layer = $l ORDER BY stimulus_id, unit_id"
    found = wh.frame(query, l=HERE.layer)["activation"].to_numpy()
    assert np.array_equal(found.reshape(N, UNITS), values)


def test_nothing_is_missing_and_nothing_is_stored_again(
    rewritten: Warehouse, values: NDArray[np.float32]
) -> None:
    wh = rewritten
    ranges = stored_ranges(wh.storage, delta.open_table(wh.storage, "activations"), {HERE: UNITS})
    assert ranges == {HERE: [(0, N)]}
    assert commit(wh.storage, [write_fragment(wh, values[6:12], 6, HERE)]) == []
    assert wh.put("other", "top", "faces", values[:, ::-1]).fragments == 0
    with pytest.raises(Conflict):
        wh.put("other", "top", "faces", values)
    assert wh.frame("SELECT count(*) FROM activations").item() == 2 * values.size


def test_files_of_others_are_shown_as_unverified(rewritten: Warehouse) -> None:
    rows = rewritten.frame("FROM fragments WHERE network = 'theirs'")
    foreign = rows.filter(pl.col("fragment_id").is_null())
    assert not foreign.is_empty()
    assert foreign["sha256"].null_count() == foreign["run_id"].null_count() == foreign.height
    assert rows["rows"].sum() == N * UNITS
    assert (rows["unit_start"].min(), rows["unit_stop"].max()) == (0, UNITS)
    assert (rows["stimulus_start"].min(), rows["stimulus_stop"].max()) == (0, N)


def test_an_analysis_finds_the_same(rewritten: Warehouse, values: NDArray[np.float32]) -> None:
    wh = rewritten
    wh.put("again", "mid", "faces", values)
    select(wh, HERE, Options())
    select(wh, Place("again", "mid", "faces"), Options())
    query = "SELECT f_expression FROM selectivity WHERE network = $n ORDER BY unit_id"
    found, expected = (wh.frame(query, n=n)["f_expression"].to_numpy() for n in ("theirs", "again"))
    assert np.array_equal(found, expected)


def test_stimuli_that_were_taken_away_are_missing_and_come_back(
    wh: Warehouse, values: NDArray[np.float32]
) -> None:
    table(wh).delete("stimulus_id IN (3, 8, 9)")
    compact(table(wh))
    left = [i for i in range(N) if i not in (3, 8, 9)]
    found = wh.matrix(*HERE)
    assert found.stimuli["stimulus_id"].to_list() == left
    assert np.array_equal(found.values, values[left])
    ranges = stored_ranges(wh.storage, delta.open_table(wh.storage, "activations"), {HERE: UNITS})
    assert ranges == {HERE: [(0, 3), (4, 8), (10, N)]}
    assert wh.put("other", "top", "faces", values[:, ::-1]).fragments == 2
    assert np.array_equal(wh.matrix("other", "top", "faces").values, values[:, ::-1])


THEIRS = "network = 'theirs'"
ONE = f"{THEIRS} AND stimulus_id = 3 AND unit_id = 7"
DAMAGE: dict[str, tuple[Rewrite, str]] = {
    "some units of a stimulus": (
        lambda t: t.delete(f"{THEIRS} AND stimulus_id = 3 AND unit_id < 5"),
        "35 activations instead of 40 for stimulus 3",
    ),
    "the last units of all": (
        lambda t: t.delete(f"{THEIRS} AND unit_id > 30"),
        "31 activations instead of 40 for stimulus 0",
    ),
    "one twice": (
        lambda t: write_deltalake(t, _rows(t).head(1), mode="append"),
        "41 activations instead of 40",
    ),
    "one in the place of another": (
        lambda t: t.update(updates={"unit_id": "unit_id + 1"}, predicate=ONE),
        "unit 7 for stimulus 3 is missing",
    ),
    "a unit beyond the layer": (
        lambda t: t.update(updates={"unit_id": "unit_id + 100"}, predicate=ONE),
        "unit 7 for stimulus 3 is missing",
    ),
}


def _rows(t: DeltaTable) -> pl.DataFrame:
    rows = pl.DataFrame(t.to_pyarrow_dataset().to_table())
    return rows.filter(network="theirs").sort("stimulus_id", "unit_id")


@pytest.mark.parametrize("case", DAMAGE)
def test_a_matrix_is_never_made_of_what_is_not_there_once(wh: Warehouse, case: str) -> None:
    rewrite, sentence = DAMAGE[case]
    rewrite(table(wh))
    with pytest.raises(Damaged, match=sentence):
        wh.matrix(*HERE)
    assert wh.matrix("other", "top", "faces").values.shape == (N, UNITS)


def test_small_tables_may_be_compacted_too(wh: Warehouse, values: NDArray[np.float32]) -> None:
    views = ("networks", "stimuli", "runs", "fragments")
    before = {view: wh.frame(f"FROM {view} ORDER BY ALL") for view in views}
    for name in delta.names():
        if name != "activations" and Path(wh.storage.uri(name)).exists():
            compact(table(wh, name))
    for view in views:
        assert wh.frame(f"FROM {view} ORDER BY ALL").equals(before[view]), view
    assert np.array_equal(wh.matrix(*HERE).values, values)


def commit_by_hand(wh: Warehouse, *actions: dict[str, Any]) -> None:
    log = Path(wh.storage.uri("activations/_delta_log"))
    number = max(int(path.stem) for path in log.glob("*.json")) + 1
    (log / f"{number:020}.json").write_text("\n".join(map(json.dumps, actions)))


def protocol(*features: str) -> dict[str, Any]:
    listed = {"readerFeatures": features, "writerFeatures": features}
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **listed}}


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping", "variantType"])
def test_what_would_be_read_wrongly_is_refused(wh: Warehouse, feature: str) -> None:
    """Measured: delta-rs lists a file that has a deletion vector as if all its rows were there."""
    commit_by_hand(wh, protocol(feature))
    for ask in (
        lambda: wh.matrix(*HERE),
        lambda: wh.query("SELECT count(*) FROM activations"),
        lambda: wh.put("third", "top", "faces", np.zeros((N, 2))),
    ):
        with pytest.raises(FexpError, match=f"use {feature}, which fexp-store does not read"):
            ask()
    assert wh.query("SELECT count(*) FROM stimuli").item() == N


def test_mapped_columns_are_refused(wh: Warehouse) -> None:
    log = Path(wh.storage.uri("activations/_delta_log"))
    lines = (log / f"{0:020}.json").read_text().splitlines()
    (made,) = (json.loads(line) for line in lines if "metaData" in line)
    made["metaData"]["configuration"] = {"delta.columnMapping.mode": "name"}
    schema = json.loads(made["metaData"]["schemaString"])
    for number, field in enumerate(schema["fields"]):
        mapping = {"id": number + 1, "physicalName": f"col-{number}"}
        field["metadata"] = {f"delta.columnMapping.{key}": value for key, value in mapping.items()}
    made["metaData"]["schemaString"] = json.dumps(schema)
    commit_by_hand(wh, {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}, made)
    with pytest.raises(Damaged, match="use columnMapping, which fexp-store does not read"):
        wh.matrix(*HERE)


def test_a_table_that_cannot_be_written_to_says_why(wh: Warehouse) -> None:
    commit_by_hand(wh, protocol("vacuumProtocolCheck"))
    assert wh.matrix(*HERE).values.shape == (N, UNITS)
    with pytest.raises(Damaged, match="VacuumProtocolCheck"):
        wh.put("third", "top", "faces", np.zeros((N, 2)))


def foreign(wh: Warehouse) -> int:
    return wh.frame("SELECT count(*) FROM fragments WHERE fragment_id IS NULL").item()


@pytest.mark.parametrize("rewrite", [z_order, compact, without_statistics, shuffled, elsewhere])
@pytest.mark.parametrize("old_files", ["kept", "gone"])
def test_whole_files_are_adopted_and_read_as_before(
    wh: Warehouse, values: NDArray[np.float32], rewrite: Rewrite, old_files: str
) -> None:
    before = {Path(row["path"]).name: row for row in wh.frame("FROM fragments").to_dicts()}
    rewrite(table(wh))
    if old_files == "gone":
        table(wh).vacuum(0, enforce_retention_duration=False, dry_run=False)
    n_foreign = foreign(wh)
    done = adopt(wh.storage)
    assert (len(done.adopted), done.left) == (n_foreign, {})
    assert foreign(wh) == 0
    assert np.array_equal(wh.matrix(*HERE).values, values)
    assert np.array_equal(wh.matrix(*HERE, units=[0, 8]).values, values[:, [0, 8]])
    for row in wh.frame("FROM fragments").to_dicts():
        file = Path(wh.storage.uri(f"activations/{row['path']}"))
        assert row["sha256"] == sha256(file.read_bytes()).hexdigest()
        assert row["bytes"] == file.stat().st_size
        assert row["run_id"] in {one["run_id"] for one in before.values()}
    (imported,) = wh.frame("FROM fragments WHERE network = 'other'")["fragment_id"]
    (as_it_was,) = (row["fragment_id"] for row in before.values() if row["network"] == "other")
    assert imported == as_it_was
    assert adopt(wh.storage).adopted == []


def test_an_adopted_file_is_verified_from_then_on(wh: Warehouse) -> None:
    compact(table(wh))
    (name,) = (file for file in adopt(wh.storage).adopted if "theirs" in file)
    file = Path(wh.storage.uri(name))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(Damaged, match="is not the file that was stored"):
        wh.matrix(*HERE)


CHANGED: dict[str, tuple[Rewrite, str]] = {
    "a value": (
        lambda t: t.update(updates={"activation": "activation + 1"}, predicate=ONE),
        "not those that it replaced",
    ),
    "rows that are gone": (
        lambda t: t.delete("network = 'theirs' AND stimulus_id = 3"),
        "no block of whole units",
    ),
    "one for another": (
        lambda t: t.update(updates={"unit_id": "unit_id + 1"}, predicate=ONE),
        "not each activation once",
    ),
    "a set of its own": (
        lambda t: write_deltalake(
            t, _rows(t).with_columns(stimulus_set=pl.lit("new")), mode="append"
        ),
        "Nothing is recorded",
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_what_another_program_changed_is_not_adopted(wh: Warehouse, case: str) -> None:
    rewrite, sentence = CHANGED[case]
    rewrite(table(wh))
    done = adopt(wh.storage)
    assert done.adopted == []
    (reason,) = done.left.values()
    assert sentence in reason
    assert foreign(wh) == 1


def test_imported_values_are_known_by_their_hash_when_the_old_file_is_gone(wh: Warehouse) -> None:
    changed = "network = 'other' AND stimulus_id = 3 AND unit_id = 7"
    table(wh).update(updates={"activation": "activation + 1"}, predicate=changed)
    table(wh).vacuum(0, enforce_retention_duration=False, dry_run=False)
    assert list(adopt(wh.storage).left.values()) == [
        "Its activations are not those that were imported."
    ]

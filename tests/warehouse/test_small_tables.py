"""Files of small tables: named by their bytes, compared on every reading, committed or gone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from polars.testing import assert_frame_equal
from support.rows import some_rows
from support.writing import state

from fexp_store import BadInput, Damaged, Warehouse, schemas
from fexp_store.warehouse import delta, tables

SMALL = sorted(set(delta.names()) - {"activations"})
RESULTS = "results/selectivity"


def parts(wh: Warehouse, name: str) -> list[Path]:
    folder = Path(wh.location, name)
    return [folder / path for path in delta.files(delta.open_table(wh.storage, name))["path"]]


def test_every_file_is_named_by_its_bytes_and_has_checksums_and_a_count(
    own_copy: Warehouse,
) -> None:
    tables.append(own_copy.storage, RESULTS, some_rows(RESULTS, 5))
    seen = 0
    for name in SMALL:
        for path in parts(own_copy, name):
            content = path.read_bytes()
            assert path.name == f"part-{sha256(content).hexdigest()}.parquet"
            column = pq.ParquetFile(path).metadata.row_group(0).column(0)
            begin = column.dictionary_page_offset or column.data_page_offset
            flipped = bytearray(content)
            flipped[begin + column.total_compressed_size - 1] ^= 1
            with pytest.raises(OSError, match="CRC"):
                pq.read_table(pa.BufferReader(flipped), page_checksum_verification=True)
            seen += 1
        counts = delta.files(delta.open_table(own_copy.storage, name))["rows"]
        assert counts.null_count() == 0
        assert counts.sum() == tables.read(own_copy.storage, name).height
    assert seen >= 6


def test_other_readers_of_delta_tables_read_the_same_rows(own_copy: Warehouse) -> None:
    rows = pl.concat([some_rows(RESULTS, 2, run_id="a/b %"), some_rows(RESULTS, 3, run_id="two")])
    tables.append(own_copy.storage, RESULTS, rows)
    assert len(parts(own_copy, RESULTS)) == 2
    assert_frame_equal(tables.read(own_copy.storage, RESULTS).sort("run_id"), rows)
    for name in SMALL:
        stored = tables.read(own_copy.storage, name)
        if stored.height:
            keys = [column for column, kind in stored.schema.items() if not kind.is_nested()]
            found = pl.read_delta(own_copy.storage.uri(name)).select(stored.columns)
            assert_frame_equal(found.cast(dict(stored.schema)).sort(keys), stored.sort(keys))


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_is_refused(own_copy: Warehouse, seed: int) -> None:
    rng = random.Random(seed)
    name = rng.choice([name for name in SMALL if parts(own_copy, name)])
    path = rng.choice(parts(own_copy, name))
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    with pytest.raises(Damaged, match=f"{path.name} is not the file that was stored"):
        tables.read(own_copy.storage, name)


def test_files_that_are_gone_or_swapped_are_refused(own_copy: Warehouse) -> None:
    first, second = parts(own_copy, "stimuli")[0], parts(own_copy, "networks")[0]
    first.rename(second.with_name("aside"))
    with pytest.raises(Damaged, match=f"{first.name} is missing"):
        tables.read(own_copy.storage, "stimuli")
    second.rename(first)
    with pytest.raises(Damaged, match=f"{first.name} is not the file that was stored"):
        tables.read(own_copy.storage, "stimuli")


def retyped(columns: pa.Schema) -> pa.Schema:
    return columns.set(1, pa.field(columns.names[1], pa.int64()))


def renamed(columns: pa.Schema) -> pa.Schema:
    return columns.set(1, columns.field(1).with_name("label"))


def longer(columns: pa.Schema) -> pa.Schema:
    return columns.append(pa.field("another", pa.string()))


@pytest.mark.parametrize("change", [retyped, renamed, longer])
def test_a_table_of_other_columns_is_refused(
    empty: Warehouse, change: Callable[[pa.Schema], pa.Schema]
) -> None:
    folder = Path(empty.location, "networks")
    columns = change(pa.schema([f.remove_metadata() for f in schemas.tables()["networks"].arrow]))
    write_deltalake(folder, columns.empty_table(), mode="overwrite", schema_mode="overwrite")
    for use in (tables.read, lambda *a: tables.append(*a, some_rows("networks"))):
        with pytest.raises(Damaged, match="table networks names other columns") as said:
            use(empty.storage, "networks")
        assert "\n" not in str(said.value)


def test_equal_rows_are_kept_as_often_as_they_are_appended(empty: Warehouse) -> None:
    for _ in range(3):
        tables.append(empty.storage, "runs", some_rows("runs"))
    assert tables.read(empty.storage, "runs").height == 3


def test_who_comes_second_leaves_no_file(empty: Warehouse) -> None:
    """Another writer takes the key between the question and the commit."""
    asked: list[bool] = []

    def taken() -> bool:
        asked.append(True)
        if len(asked) == 1:
            tables.append(empty.storage, "networks", some_rows("networks", seed=1), key="same")
        return len(asked) > 1

    mine = some_rows("networks", seed=2)
    assert not tables.append(empty.storage, "networks", mine, key="same", unless=taken)
    assert tables.read(empty.storage, "networks")["seed"].to_list() == [1]
    assert len(list(Path(empty.location, "networks").glob("*.parquet"))) == 1


def test_a_refusal_leaves_no_file(empty: Warehouse) -> None:
    before = state(empty)

    def refuse() -> bool:
        raise BadInput("taken")

    with pytest.raises(BadInput):
        tables.append(empty.storage, "networks", some_rows("networks"), unless=refuse)
    assert state(empty) == before


def _delete_what_comes(folder: str, ready: Event) -> None:
    ready.set()
    while True:
        for path in Path(folder).glob("part-*"):
            path.unlink(missing_ok=True)


@contextmanager
def deleting(folder: Path) -> Iterator[None]:
    """Another process that deletes whatever comes into a folder."""
    context = get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_delete_what_comes, args=(str(folder), ready))
    process.start()
    try:
        assert ready.wait(60)
        yield
    finally:
        process.kill()
        process.join()


@pytest.mark.slow
def test_a_commit_of_a_file_that_is_gone_is_told(empty: Warehouse) -> None:
    with (
        deleting(Path(empty.location, "networks")),
        pytest.raises(Damaged, match="was deleted while it was being stored"),
    ):
        tables.append(empty.storage, "networks", some_rows("networks"))

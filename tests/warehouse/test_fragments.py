"""Fragment files: their layout, their size, and commits that store an activation once."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.writing import state, write_fragment

from fexp_store import Warehouse
from fexp_store.warehouse import tables
from fexp_store.warehouse.activations.commit import commit, discard
from fexp_store.warehouse.activations.fragment import ContentId
from fexp_store.warehouse.activations.write import write_file
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import file_sha256, storage_of


def relu_like(n_stimuli: int, n_units: int) -> NDArray[np.float32]:
    """Activations of which about 60 % are zero, as after a ReLU."""
    values = np.random.default_rng(0).normal(-0.25, 1, (n_stimuli, n_units))
    return np.maximum(values, 0).astype(np.float32)


HERE = Place("net", "conv1:pre", "set1")


def test_a_file_is_sorted_checksummed_and_holds_whole_units_in_a_row_group(tmp_path: Path) -> None:
    values = relu_like(240, 10_000)
    path = tmp_path / "f.parquet"
    size, digest = write_file(storage_of(tmp_path), path.name, values, 100)
    assert (size, digest) == (path.stat().st_size, file_sha256(path))
    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    assert len(groups) == 3
    assert all(group.num_rows % 240 == 0 for group in groups)
    assert [group.column(0).statistics.min for group in groups] == [0, 4369, 8738]
    assert groups[0].column(0).compression == "ZSTD"
    table = file.read()
    assert [str(t) for t in table.schema.types] == ["int32", "int32", "float"]
    assert (table["unit_id"].to_numpy() == np.repeat(np.arange(10_000), 240)).all()
    assert (table["stimulus_id"].to_numpy() == np.tile(np.arange(100, 340), 10_000)).all()
    assert (table["activation"].to_numpy() == values.T.ravel()).all()
    # Checksums are there: with one bit of a page flipped, a reader that verifies refuses it.
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(path, page_checksum_verification=True)


def test_the_long_table_is_little_larger_than_its_non_zero_values(tmp_path: Path) -> None:
    values = relu_like(240, 20_000)
    size, _ = write_file(storage_of(tmp_path), "f.parquet", values, 0)
    assert size <= 1.25 * np.count_nonzero(values) * 4


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    with pytest.raises(NotImplementedError):
        write_file(storage_of(tmp_path), path.name, relu_like(3, 5).astype(str), 0)
    assert not path.exists()


def test_a_fragment_is_visible_once_it_is_committed(empty: Warehouse) -> None:
    fragment = write_fragment(empty, relu_like(10, 20), 0, HERE)
    assert empty.frame("FROM activations").is_empty()
    assert commit(empty.storage, [fragment]) == [fragment]
    rows = empty.frame("FROM activations ORDER BY unit_id, stimulus_id")
    assert (rows["activation"].to_numpy() == relu_like(10, 20).T.ravel()).all()
    assert rows["layer"].unique().to_list() == ["conv1:pre"]
    assert empty.frame("FROM fragments").height == 1


@pytest.mark.parametrize(("start", "n"), [(0, 10), (5, 10), (9, 1), (0, 30)])
def test_stimuli_that_are_stored_are_not_stored_again(empty: Warehouse, start: int, n: int) -> None:
    commit(empty.storage, [write_fragment(empty, relu_like(10, 4), 0, HERE)])
    late = write_fragment(empty, relu_like(n, 4), start, HERE)
    elsewhere = write_fragment(empty, relu_like(n, 4), start, HERE._replace(stimulus_set="set2"))
    assert commit(empty.storage, [late, elsewhere]) == [elsewhere]
    assert not (Path(empty.location) / "activations" / late.path).exists()
    assert empty.frame("FROM activations WHERE stimulus_set = 'set1'").height == 40
    assert empty.frame("FROM fragments").height == 2


def test_discarding_spares_what_is_committed(empty: Warehouse) -> None:
    kept, lost = (write_fragment(empty, relu_like(3, 4), 0, HERE) for _ in range(2))
    commit(empty.storage, [kept])
    before = state(empty)
    discard(empty.storage, [kept.path, lost.path])
    assert (Path(empty.location) / "activations" / kept.path).exists()
    assert not (Path(empty.location) / "activations" / lost.path).exists()
    assert state(empty)[0] == before[0]


def _commit(root: str, start: int, run: str, layer: str) -> int:
    wh = Warehouse(root)
    fragment = write_fragment(wh, relu_like(10, 50), start, HERE._replace(layer=layer), run)
    return len(commit(wh.storage, [fragment]))


@pytest.mark.slow
def test_concurrent_processes_store_every_activation_exactly_once(empty: Warehouse) -> None:
    starts = [0, 5, 10, 15, 20, 3, 13]  # overlapping on purpose
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(_commit, empty.location, start, str(i), layer)
            for i, start in enumerate(starts * 2)
            for layer in ("same", f"own{i}")
        ]
        committed = [job.result() for job in jobs]
    assert sum(committed[1::2]) == len(starts) * 2
    counts = empty.frame(
        "SELECT layer, unit_id, stimulus_id, count(*) AS n FROM activations GROUP BY ALL"
    )
    assert counts["n"].max() == 1
    same = counts.filter(layer="same")["stimulus_id"].unique().len()
    assert same == 10 * sum(committed[::2])
    on_disk = {
        str(p.relative_to(Path(empty.location) / "activations"))
        for p in (Path(empty.location) / "activations").rglob("*.parquet")
    }
    named = tables.files(tables.open_table(empty.storage, "activations"))["path"]
    assert on_disk == set(named)


@given(name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,30}", fullmatch=True))
def test_a_layer_name_survives_its_path(name: str) -> None:
    path = Place("n", name, "s").path
    assert len(Path(path).parts) == 3
    with duckdb.connect() as connection:
        parsed = connection.execute("SELECT url_decode($1)", [Path(path).parts[1]]).fetchone()
    assert parsed == (f"layer={name}",)


CONTENT = ContentId("w", "a", "p", "conv1", None, "fp32")


@pytest.mark.parametrize(
    "changed",
    [
        {"weights_sha256": "w2"},
        {"architecture": "a2"},
        {"preprocessing": "p2"},
        {"layer": "conv1:pre"},
        {"keep_bits": 10},
        {"precision": "bf16"},
    ],
)
def test_every_input_is_part_of_a_fragments_identity(changed: dict[str, object]) -> None:
    images = ["i1", "i2"]
    before = CONTENT.fragment_id(images)
    assert replace(CONTENT).fragment_id(list(images)) == before
    assert replace(CONTENT, **changed).fragment_id(images) != before  # type: ignore[arg-type]
    assert CONTENT.fragment_id(["i2", "i1"]) != before
    assert CONTENT.fragment_id(["i1"]) != before

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

from fexp_store import BadInput, Warehouse
from fexp_store.warehouse import delta
from fexp_store.warehouse.activations.commit import commit, discard
from fexp_store.warehouse.activations.fragment import ContentId, Fragment, Portion
from fexp_store.warehouse.activations.write import Held, write_portion
from fexp_store.warehouse.hashing import file_sha256
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.storage import storage_of


def relu_like(n_stimuli: int, n_units: int) -> NDArray[np.float32]:
    """Activations of which about 60 % are zero, as after a ReLU."""
    values = np.random.default_rng(0).normal(-0.25, 1, (n_stimuli, n_units))
    return np.maximum(values, 0).astype(np.float32)


HERE = Place("net", "conv1:pre", "set1")


def portion(n_stimuli: int, n_units: int, start: int = 0, keep_bits: int | None = None) -> Portion:
    stimuli = (start, start + n_stimuli)
    return Portion("f", *HERE, 0, n_units, *stimuli, keep_bits, "fp32", "r")


def written(
    directory: Path,
    values: NDArray[np.float32],
    start: int = 0,
    keep_bits: int | None = None,
    *,
    allow_nonfinite: bool = False,
) -> Fragment:
    what = portion(*values.shape, start, keep_bits)
    storage = storage_of(directory)
    return write_portion(storage, what, Held(values), allow_nonfinite=allow_nonfinite)


def test_a_file_is_sorted_checksummed_and_holds_whole_units_in_a_row_group(tmp_path: Path) -> None:
    values = relu_like(240, 10_000)
    fragment = written(tmp_path, values, 100)
    path = tmp_path / "activations" / fragment.path
    assert (fragment.bytes, fragment.sha256) == (path.stat().st_size, file_sha256(path))
    assert (fragment.rows, fragment.nonfinite) == (values.size, 0)
    file = pq.ParquetFile(path)
    said = {k.decode(): v.decode() for k, v in file.metadata.metadata.items()}
    assert said == {
        "fexp.fragment_id": "f",
        "fexp.network": "net",
        "fexp.layer": "conv1:pre",
        "fexp.stimulus_set": "set1",
        "fexp.unit_start": "0",
        "fexp.unit_stop": "10000",
        "fexp.stimulus_start": "100",
        "fexp.stimulus_stop": "340",
    }
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
    assert written(tmp_path, values).bytes <= 1.25 * np.count_nonzero(values) * 4


class Breaking:
    """A source that fails in its second block."""

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        if start:
            raise OSError("the disk is gone")
        return np.zeros((stop - start, 240), np.float32)


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        write_portion(storage_of(tmp_path), portion(240, 10_000), Breaking())
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_and_not_written(tmp_path: Path, value: float) -> None:
    values = relu_like(240, 10_000)
    values[7, 6000] = values[3, 9000] = value
    with pytest.raises(BadInput, match=rf"unit 6000 for stimulus 107 is {value}; nothing of stimu"):
        written(tmp_path, values, 100)
    assert list(tmp_path.rglob("*.parquet")) == []
    assert written(tmp_path, values, 100, allow_nonfinite=True).nonfinite == 2


def test_what_rounding_makes_infinite_is_not_finite(tmp_path: Path) -> None:
    values = relu_like(5, 20)
    values[2, 4] = np.finfo(np.float32).max
    assert written(tmp_path, values).nonfinite == 0
    with pytest.raises(BadInput, match=r"unit 4 for stimulus 2 is inf \(with 7 bits kept\)"):
        written(tmp_path, values, keep_bits=7)
    assert values[2, 4] == np.finfo(np.float32).max  # the source is not changed
    assert written(tmp_path, values, keep_bits=7, allow_nonfinite=True).nonfinite == 1


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
    named = delta.files(delta.open_table(empty.storage, "activations"))["path"]
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
    images, units = ["i1", "i2"], (0, 10)
    before = CONTENT.fragment_id(images, units)
    assert replace(CONTENT).fragment_id(list(images), units) == before
    assert replace(CONTENT, **changed).fragment_id(images, units) != before  # type: ignore[arg-type]
    assert CONTENT.fragment_id(["i2", "i1"], units) != before
    assert CONTENT.fragment_id(["i1"], units) != before
    assert CONTENT.fragment_id(images, (0, 11)) != before
    assert CONTENT.fragment_id(images, (1, 10)) != before


def test_the_ids_of_earlier_versions_are_known() -> None:
    # As version 0.1 wrote it, before the range of units was a part of it.
    assert CONTENT.fragment_id(["i1", "i2"], None) == (
        "42b0302681890e45250aabeaf51f8ff8c16a65ea2a2f686305568693ec8d0cad"
    )

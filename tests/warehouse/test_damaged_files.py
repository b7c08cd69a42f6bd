"""A file of activations that is not what was stored is refused; what does not need it works."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from polars.testing import assert_frame_equal
from support.bare import bare

from fexp_store import Damaged, Warehouse
from fexp_store.progress import Advance, Started

LAYER = "conv4_3"


def stored(wh: Warehouse, layer: str) -> Path:
    path = wh.frame("SELECT path FROM fragments WHERE layer = $layer", layer=layer).item()
    return Path(wh.location) / "activations" / path


def delete(file: Path, _other: Path) -> None:
    file.unlink()


def truncate(file: Path, _other: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path, _other: Path) -> None:
    """One bit in the middle, with the times that it had."""
    times = file.stat()
    with file.open("r+b") as opened:
        opened.seek(times.st_size // 2)
        byte = opened.read(1)[0]
        opened.seek(-1, os.SEEK_CUR)
        opened.write(bytes([byte ^ 4]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def swap(file: Path, other: Path) -> None:
    between = file.with_name("between")
    file.rename(between)
    other.rename(file)
    between.rename(other)


def link(file: Path, other: Path) -> None:
    file.unlink()
    file.symlink_to(other)


def pipe(file: Path, _other: Path) -> None:
    file.unlink()
    os.mkfifo(file)


DAMAGES = [delete, truncate, flip, swap, link, pipe]

# Queries that need rows of the damaged file, each filtered by something else than the next.
NEED = [
    "SELECT count(*) FROM activations",
    "SELECT sum(activation) FROM activations WHERE layer = $layer",
    "SELECT activation FROM activations WHERE layer = $layer AND unit_id = 3 AND stimulus_id = 2",
    "SELECT max(unit_id) FROM activations WHERE unit_id IN (1, 2) AND layer LIKE 'conv%'",
    "FROM activations WHERE stimulus_id BETWEEN 2 AND 3 AND activation > 1e9",
    "SELECT count(*) FROM activations JOIN stimuli USING (stimulus_set, stimulus_id)",
    "SELECT avg(activation) FROM activations WHERE unit_id IN (SELECT 1)",
    "SELECT DISTINCT network FROM activations",
    "FROM top_stimuli('dlib', $layer, 3, 5)",
    "FROM expression_anova('dlib', $layer, 'set1', last_unit := 3)",
    "EXPLAIN ANALYZE FROM activations WHERE layer = $layer",
    "SUMMARIZE activations",
]
# Queries that need none, though they ask the same tables.
NEED_NOT = [
    "SELECT count(*), sum(activation::DECIMAL(18, 6)) FROM activations WHERE layer = 'embedding'",
    "SELECT max(unit_id) FROM activations WHERE layer LIKE 'emb%'",
    "FROM top_stimuli('dlib', 'embedding', 3, 5)",
    "SELECT * EXCLUDE (run_id) FROM fragments ORDER BY path",
    "SELECT count(*) FROM activations WHERE network = 'another'",
    "SELECT count(*) FROM selectivity",
    "SELECT count(*) FROM units",
    "DESCRIBE activations",
]


def asked(query: str) -> dict[str, str] | None:
    return {"layer": LAYER} if "$layer" in query else None


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_needs_a_file_says_its_name_and_what_does_not_answers(
    ingested: Warehouse, own_copy: Warehouse, damage: Callable[[Path, Path], None]
) -> None:
    file = stored(own_copy, LAYER)
    own_copy.close()
    damage(file, stored(own_copy, f"{LAYER}:pre"))
    for query in NEED:
        wh = Warehouse(own_copy.location)
        with pytest.raises(Damaged, match=file.name if damage is not swap else "part-"):
            wh.query(query, asked(query))
    for query in NEED_NOT:
        for wh in (own_copy, Warehouse(own_copy.location)):
            assert_frame_equal(wh.query(query), ingested.query(query))
    for wh in (own_copy, Warehouse(own_copy.location)):
        with pytest.raises(Damaged, match=file.name):
            wh.activations(layer=LAYER)
        with pytest.raises(Damaged):
            wh.frame(NEED[1], layer=LAYER)
        assert wh.activations(layer="embedding").collect().height == 48 * 128
    # What fexp knows by now, any other client is told.
    with bare(own_copy.location) as client:
        with pytest.raises(duckdb.Error, match=file.name):
            client.execute(f"SELECT sum(activation) FROM activations WHERE layer = '{LAYER}'")
        assert client.execute(NEED_NOT[0]).fetchall() == ingested.frame(NEED_NOT[0]).rows()


def test_a_file_that_comes_back_is_read_again(ingested: Warehouse, own_copy: Warehouse) -> None:
    query = "SELECT sum(activation::DECIMAL(18, 6)) FROM activations"
    for damage in (delete, flip):
        file = stored(own_copy, LAYER)
        aside = shutil.copy2(file, file.with_name("aside"))
        damage(file, file)
        with pytest.raises(Damaged):
            Warehouse(own_copy.location).frame(query)
        Path(aside).replace(file)
        assert_frame_equal(Warehouse(own_copy.location).frame(query), ingested.frame(query))


def test_a_file_that_is_damaged_while_a_warehouse_is_open_is_refused_by_the_next(
    own_copy: Warehouse,
) -> None:
    query = "SELECT sum(activation) FROM activations WHERE layer = $layer"
    own_copy.frame(query, layer=LAYER)
    flip(stored(own_copy, LAYER), Path())
    with pytest.raises(Damaged):
        Warehouse(own_copy.location).frame(query, layer=LAYER)


def hashed(wh: Warehouse, query: str) -> int:
    """How many bytes of files are hashed before a query is answered."""
    sizes = [0]

    @contextmanager
    def bar(_label: str) -> Iterator[Started]:
        def started(total: int) -> Advance:
            sizes.append(total)
            return lambda _n: None

        yield started

    wh.bar = bar
    wh.query(query, asked(query))
    return sum(sizes)


def test_a_query_has_the_files_hashed_that_it_can_touch_once(own_copy: Warehouse) -> None:
    size = {name: stored(own_copy, name).stat().st_size for name in (LAYER, "embedding")}
    everything = sum(
        f.stat().st_size for f in Path(own_copy.location, "activations").rglob("*.parquet")
    )
    for query in NEED_NOT[3:]:
        assert hashed(own_copy, query) == 0
    assert hashed(own_copy, NEED_NOT[0]) == size["embedding"]
    assert hashed(Warehouse(own_copy.location), NEED_NOT[1]) == 0
    assert hashed(own_copy, "FROM top_stimuli('dlib', $layer, 3, 5)") == size[LAYER]
    assert hashed(own_copy, NEED[0]) == everything - sum(size.values())
    assert hashed(Warehouse(own_copy.location), NEED[0]) == 0


@pytest.mark.parametrize("reader", ["read_parquet", "parquet_scan", "Read_Parquet"])
def test_a_query_that_names_files_has_all_hashed(own_copy: Warehouse, reader: str) -> None:
    file = stored(own_copy, LAYER)
    assert hashed(own_copy, f"SELECT count(*) FROM {reader}('{file}')") > file.stat().st_size


def test_without_a_cache_a_damaged_file_is_refused_too(
    own_copy: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(stored(own_copy, LAYER), Path())
    (tmp_path / "cache").write_bytes(b"")
    monkeypatch.setenv("FEXP_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        with pytest.raises(Damaged, match="is not the file that was stored"):
            Warehouse(own_copy.location).query(NEED[0])
        assert Warehouse(own_copy.location).query(NEED_NOT[0]).height == 1


HOSTILE = {
    "above": "../../canary.parquet",
    "above, encoded": "..%2F..%2Fcanary.parquet",
    "above, below first": "network=dlib/../../../canary.parquet",
    "absolute": "{canary}",
    "absolute, encoded": "%2Ftmp%2Fcanary.parquet",
    "a file URL": "file://{canary}",
    "a bucket": "s3://bucket/x.parquet",
    "all files": "**",
    "all files of a kind": "*/*/*/*.parquet",
    "a set of letters": "network=dlib/layer=embedding/stimulus_set=set1/part-[0-9a-f]*.parquet",
    "backslashes": "..\\\\..\\\\canary.parquet",
    "a null character": "a%00b.parquet",
    "a line break": "a%0Ab.parquet",
    "nothing": "",
    "a folder": "network=dlib",
    "the log": "_delta_log",
}


@pytest.mark.parametrize("path", HOSTILE.values(), ids=HOSTILE)
def test_a_log_that_names_what_is_not_its_own_reads_nothing_else(
    ingested: Warehouse, own_copy: Warehouse, tmp_path: Path, path: str
) -> None:
    canary = tmp_path / "canary.parquet"
    shutil.copy(stored(own_copy, LAYER), canary)
    add = {
        "path": path.format(canary=canary),
        "partitionValues": {"network": "theirs", "layer": "l", "stimulus_set": "s"},
        "size": canary.stat().st_size,
        "modificationTime": 0,
        "dataChange": True,
        "stats": '{"numRecords": 1}',
    }
    logs = Path(own_copy.location, "activations", "_delta_log")
    (logs / f"{len(list(logs.glob('*.json'))):020}.json").write_text(json.dumps({"add": add}))
    wh = Warehouse(own_copy.location)
    own_copy.close()
    for query in ("SELECT count(*) FROM activations", "FROM activations WHERE network = 'theirs'"):
        with pytest.raises(Damaged) as said:
            wh.query(query)
        assert "\n" not in str(said.value)
    with pytest.raises(Damaged):
        wh.activations(network="theirs")
    query = (
        "SELECT count(*), sum(activation::DECIMAL(18, 6)) FROM activations WHERE network = 'dlib'"
    )
    assert_frame_equal(wh.query(query), ingested.query(query))
    assert wh.matrix("dlib", "embedding", "set1").values.shape == (48, 128)


def test_a_log_that_says_another_layer_than_our_record_is_not_believed(
    ingested: Warehouse, own_copy: Warehouse
) -> None:
    """One flipped bit in the log would give a layer's numbers another name."""
    own_copy.close()
    entry = Path(own_copy.location, "activations", "_delta_log", f"{1:020}.json")
    content = entry.read_text()
    assert '"layer":"embedding"' in content
    entry.write_text(content.replace('"layer":"embedding"', '"layer":"embeddinf"'))
    wh = Warehouse(own_copy.location)
    asking = "FROM activations WHERE layer = '{}' AND unit_id = 3".format
    for query in (NEED[0], asking("embeddinf"), asking("embedding")):
        with pytest.raises(Damaged, match="embeddinf on set1 in the log, and of dlib embedding on"):
            wh.query(query)
    assert_frame_equal(wh.query(NEED[1], asked(NEED[1])), ingested.query(NEED[1], asked(NEED[1])))

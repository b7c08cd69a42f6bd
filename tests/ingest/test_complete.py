"""An ingest ends well only if everything is stored: what is gone from the disk is brought back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.cells import cut_cells
from support.writing import write_fragment

from fexp_store import Damaged, FexpError, Warehouse
from fexp_store.ingest import Options, ingest, prepare
from fexp_store.ingest.explain import explain
from fexp_store.ingest.write import Writer
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse import checked, delta
from fexp_store.warehouse.activations.commit import commit
from fexp_store.warehouse.place import Place

LAYERS = ["conv4_3", "conv4_3:pre", "embedding"]


@pytest.fixture(autouse=True)
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_cells(monkeypatch, 7, 8192)  # four cells of conv4_3


def files(wh: Warehouse) -> list[Path]:
    """The files that the log of activations names."""
    named = delta.files(delta.open_table(wh.storage, "activations"))["path"]
    return [Path(wh.location) / "activations" / path for path in sorted(named)]


def matrices(wh: Warehouse) -> dict[str, NDArray[np.uint32]]:
    return {x: wh.matrix("dlib", x, "set1").values.view(np.uint32) for x in LAYERS}


def counted(wh: Warehouse) -> list[tuple[str, int]]:
    return wh.frame("SELECT layer, count(*) FROM activations GROUP BY layer ORDER BY layer").rows()


WHOLE = [("conv4_3", 24 * 8192), ("conv4_3:pre", 24 * 8192), ("embedding", 24 * 128)]


@pytest.mark.parametrize("fault", ["missing", "shorter", "a folder"])
def test_a_file_that_is_gone_is_restored_bit_by_bit(ready: Warehouse, fault: str) -> None:
    options = Options(batch_size=5)
    ingest(ready, "dlib", LAYERS, "set1", options)
    before = matrices(ready)
    lost = files(ready)[::3]
    for path in lost:
        content = path.read_bytes()
        path.unlink()
        if fault == "shorter":
            path.write_bytes(content[:-1])
        elif fault == "a folder":
            path.mkdir()
    done = ingest(ready, "dlib", LAYERS, "set1", options)
    assert done.fragments == len(lost) == 3
    assert not set(lost) & set(files(ready))
    assert counted(ready) == WHOLE
    after = matrices(ready)
    assert all(np.array_equal(before[layer], after[layer]) for layer in LAYERS)
    assert ingest(ready, "dlib", LAYERS, "set1", options).stimuli == 0
    assert ready.frame("SELECT count(*) FROM fragments").item() == len(files(ready)) == 9


def test_only_batches_of_what_is_gone_are_run(ready: Warehouse) -> None:
    options = Options(batch_size=5)
    ingest(ready, "dlib", ["conv4_3"], "set1", options)
    fragment = ready.frame("FROM fragments ORDER BY stimulus_start").row(1, named=True)
    (Path(ready.location) / "activations" / fragment["path"]).unlink()
    prepared = prepare(ready, "dlib", ["conv4_3"], "set1", options)
    assert [(b.start, b.stop) for b in prepared.plan.batches()] == [(5, 10), (10, 15)]
    said = explain(ready, prepared)
    assert said["outcome"].to_list() == ["hit", "miss", "hit", "hit"]
    assert said["why"][1] == f"its file is gone: {fragment['path']}"
    assert ingest(ready, "dlib", ["conv4_3"], "set1", options).stimuli == 10


def test_a_fragment_that_was_taken_out_of_the_log_comes_back(ready: Warehouse) -> None:
    ingest(ready, "dlib", LAYERS, "set1")
    before = matrices(ready)
    table = delta.open_table(ready.storage, "activations")
    table.delete("layer = 'conv4_3:pre'")
    assert ingest(ready, "dlib", LAYERS, "set1").fragments == 4
    after = matrices(ready)
    assert all(np.array_equal(before[layer], after[layer]) for layer in LAYERS)


def test_what_is_stored_in_other_ranges_stays_as_it_is(ready: Warehouse, photographs: Path) -> None:
    """As an ingest of an earlier version had cut them."""
    ingest(ready, "dlib", ["conv4_3"], "set1", Options(batch_size=5))
    values = ready.matrix("dlib", "conv4_3", "set1").values
    add_manifest(ready, "again", photographs)
    place = Place("dlib", "conv4_3", "again")
    commit(ready.storage, [write_fragment(ready, values[9:16], 9, place)])
    assert ingest(ready, "dlib", ["conv4_3"], "again", Options(batch_size=5)).fragments == 4
    cut = ready.frame(
        "SELECT stimulus_start, stimulus_stop FROM fragments WHERE stimulus_set = 'again'"
    )
    assert cut.rows() == [(0, 7), (7, 9), (9, 16), (16, 21), (21, 24)]
    again = ready.matrix("dlib", "conv4_3", "again").values
    assert np.array_equal(again.view(np.uint32), values.view(np.uint32))


def test_a_pass_that_changes_nothing_is_an_error(
    ready: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody deletes each file as soon as it is committed."""
    store = Writer.store

    def stolen(self: Writer, sources: object) -> object:
        written = store(self, sources)  # type: ignore[arg-type]  # passed on
        for fragment in written:
            (Path(ready.location) / "activations" / fragment.path).unlink()
        return written

    monkeypatch.setattr(Writer, "store", stolen)
    with pytest.raises(FexpError, match="Stimuli 0 to 6 of dlib conv4_3 for set1 are still missi"):
        ingest(ready, "dlib", ["conv4_3"], "set1")
    monkeypatch.undo()
    cut_cells(monkeypatch, 7, 8192)
    assert ingest(ready, "dlib", ["conv4_3"], "set1").fragments == 4


def test_what_another_process_deletes_before_the_commit_is_not_committed(ready: Warehouse) -> None:
    place = Place("dlib", "embedding", "set1")
    fragment = write_fragment(ready, np.zeros((24, 128), np.float32), 0, place)
    (Path(ready.location) / "activations" / fragment.path).unlink()
    version = delta.log_version(ready.storage, "activations")
    with pytest.raises(Damaged, match="was deleted or changed before it was committed"):
        commit(ready.storage, [fragment])
    assert delta.log_version(ready.storage, "activations") == version


def test_what_an_ingest_has_written_need_not_be_hashed_again(ready: Warehouse) -> None:
    ingest(ready, "dlib", LAYERS, "set1")
    names = [path.relative_to(ready.location).as_posix() for path in files(ready)]
    assert sorted(checked.known(ready.storage, names)) == sorted(names)

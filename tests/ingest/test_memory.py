"""Memory of an ingest: pieces that it does not hold wait on disk, and batches are run in parts."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.direct import assert_close
from support.small import insert_module
from support.writing import state, write_photographs

from benchmarks.kills import LAYERS
from benchmarks.setting import in_own_process
from fexp_store import FexpError, Warehouse
from fexp_store.ingest import Options, ingest
from fexp_store.ingest.buffers import Buffers, InMemory, OnDisk
from fexp_store.ingest.plan import Piece
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.activations import fragment
from fexp_store.warehouse.networks import Layer
from fexp_store.warehouse.storage import storage_of


@given(data=st.data(), n_units=st.integers(1, 50), n_stimuli=st.integers(1, 20))
def test_what_is_filled_in_any_portions_is_read_back_from_memory_and_from_disk(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, n_units: int, n_stimuli: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fragment, "ROW_GROUP_ROWS", 64)
        values = np.random.default_rng(0).standard_normal((n_stimuli, n_units), np.float32)
        piece = Piece(Layer("a", (n_units,)), 5, 5 + n_stimuli)
        edges = sorted(data.draw(st.sets(st.integers(1, n_stimuli))) | {0, n_stimuli})
        storage = storage_of(tmp_path_factory.getbasetemp())
        for kept in (InMemory.of(piece), OnDisk(piece, storage)):
            with closing(kept) as buffer:
                for first, last in pairwise(edges):
                    with buffer.filling(first, last) as rows:
                        rows[:] = values[first:last]
                group = fragment.units_a_group(n_stimuli)
                blocks = [
                    buffer.block(start, min(start + group, n_units))
                    for start in range(0, n_units, group)
                ]
                assert np.array_equal(np.concatenate(blocks).T, values)


def test_buffers_in_memory_are_within_bounds_and_the_others_leave_nothing(tmp_path: Path) -> None:
    buffers = Buffers(storage_of(tmp_path), 1000)
    sizes = {"a": 100, "b": 100, "c": 90, "d": 50}
    pieces = [Piece(Layer(name, (units,)), 0, 1) for name, units in sizes.items()]
    kinds = [type(buffers.of(piece)) for piece in pieces]
    assert kinds == [InMemory, InMemory, OnDisk, InMemory]
    assert buffers.of(pieces[2]) is buffers.of(pieces[2])
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []  # they have no names
    buffers.close(pieces[:1])
    assert isinstance(buffers.of(Piece(Layer("e", (100,)), 0, 1)), InMemory)
    buffers.close()


def test_scratch_files_go_where_the_environment_says(
    small: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEXP_SCRATCH", str(tmp_path / "scratch"))
    ingest(small, "small", list(LAYERS), "set1", Options(memory=1))
    assert (tmp_path / "scratch").is_dir()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not (Path(small.location) / ".local" / "scratch").exists()
    monkeypatch.setenv("FEXP_SCRATCH", "/proc/nowhere")
    add_manifest(small, "set2", tmp_path / "photographs" / "manifest.csv")
    with pytest.raises(OSError, match="proc"):
        ingest(small, "small", list(LAYERS), "set2", Options(memory=1))


class Greedy(torch.nn.Module):
    """Needs more memory than there is for more than some images."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.images = images
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        if len(x) > self.images:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return x


@pytest.mark.parametrize("images", [9, 5, 2, 1])
def test_a_batch_that_the_device_does_not_hold_is_halved(
    small: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    ingest(small, "small", list(LAYERS), "set1", Options(batch_size=8))
    add_manifest(small, "set2", tmp_path / "photographs" / "manifest.csv")
    greedy = Greedy(images)
    insert_module(monkeypatch, 4, greedy)
    done = ingest(small, "small", list(LAYERS), "set2", Options(batch_size=8))
    assert (done.stimuli, done.fragments) == (18, 3)
    assert [n for n in greedy.seen if n > images] == [n for n in (8, 4, 2) if n > images]
    for layer in LAYERS:
        one, other = (small.matrix("small", layer, name).values for name in ("set1", "set2"))
        assert_close(one, other, layer)


def test_a_device_that_does_not_hold_one_image_is_one_sentence(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(small)
    monkeypatch.setattr(torch.nn.ReLU, "forward", Greedy(0).forward)
    with pytest.raises(FexpError, match="memory of the device cpu does not hold the network with"):
        ingest(small, "small", list(LAYERS), "set1")
    assert state(small) == before


MEMORY = 72  # MiB


def _ingest(root: str, stimulus_set: str) -> int:
    options = Options(device="cpu", memory=MEMORY, batch_size=8, workers=1)
    return ingest(Warehouse(root, threads=1), "dlib", ["conv1"], stimulus_set, options).fragments


@pytest.mark.slow
def test_peak_memory_is_within_what_is_allowed(ready: Warehouse, tmp_path: Path) -> None:
    add_manifest(ready, "many", write_photographs(tmp_path / "many", 80))  # 318 MB of conv1
    few, base = in_own_process(_ingest, ready.location, "set1")
    many, peak = in_own_process(_ingest, ready.location, "many")
    assert few == many == 1
    assert peak - base < MEMORY << 20

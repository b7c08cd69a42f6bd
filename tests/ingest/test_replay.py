"""Replay: what a network gives now is compared with what is stored, and nothing is overlooked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from support.cells import cut_cells
from support.small import insert_module
from support.writing import state

from fexp_store import Warehouse
from fexp_store.ingest import Options as Ingest
from fexp_store.ingest import again, ingest
from fexp_store.ingest.agreement import OTHER_DEVICE, SAME_DEVICE, Agreement
from fexp_store.ingest.replay import Options, Replayed, replay
from fexp_store.networks import registry
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.records import Options as Network
from fexp_store.warehouse import tables
from fexp_store.warehouse.verify.fault import Kind
from fexp_store.warehouse.verify.repair import repair
from fexp_store.warehouse.verify.verify import locate, verify

ALL = 10_000
STIMULI = 18


class Bump(torch.nn.Module):
    """Adds to one unit's response to one image what is so much of the largest of all."""

    def __init__(self, image: int, unit: int, of_largest: float, largest: float) -> None:
        super().__init__()
        self.image, self.unit, self.by, self.seen = image, unit, of_largest * largest, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        here = self.image - self.seen
        if 0 <= here < len(x):
            x[here].view(-1)[self.unit] += self.by
        self.seen += len(x)
        return x


def counts(found: Replayed) -> tuple[int, int, int]:
    return found.agreed, found.differed, found.not_run


def ingest_altered(
    wh: Warehouse, patch: pytest.MonkeyPatch, of_largest: float, options: Ingest | None = None
) -> None:
    """Store a layer of which one activation is not the network's: records and digests are right."""
    shutil.copytree(wh.location, f"{wh.location}.honest")
    honest = Warehouse(f"{wh.location}.honest")
    ingest(honest, "small", ["flat"], "set1")
    largest = float(np.abs(honest.matrix("small", "flat", "set1").values).max())
    with patch.context() as inner:
        insert_module(inner, 6, Bump(7, 100, of_largest, largest))
        ingest(wh, "small", ["flat"], "set1", options or Ingest())
    assert verify(wh.storage).faults == []


@pytest.mark.parametrize("keep_bits", [None, 8])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_right_agrees_whatever_how_it_was_stored(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch, keep_bits: int | None, precision: str
) -> None:
    cut_cells(monkeypatch, 4, 128)
    registry.add(small, "twin", Network(architecture="small", untrained=True, seed=5))
    options = Ingest(keep_bits=keep_bits, precision=precision, batch_size=5)
    for network in ("small", "twin"):
        ingest(small, network, ["early", "flat"], "set1", options)
    before, told = state(small), []
    found = replay(small, Options(replay=ALL), started=lambda n: told.append(-n) or told.append)
    assert (counts(found), found.faults, found.left_out) == ((4 * STIMULI, 0, 0), [], {})
    assert told[0] == -4 * STIMULI
    assert sum(told) == 0
    assert state(small) == before


@pytest.mark.parametrize(("of_largest", "found"), [(0.5e-5, 0), (2e-5, 1), (0.3, 1)])
def test_an_activation_that_no_checksum_finds_is_found(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch, of_largest: float, found: int
) -> None:
    ingest_altered(small, monkeypatch, of_largest)
    replayed = replay(small, Options(replay=ALL, seed=3))
    assert counts(replayed) == (STIMULI - found, found, 0)
    for fault in replayed.faults:
        path = small.frame("FROM fragments")["path"].item()
        assert (fault.what, fault.where) == (Kind.activations, f"activations/{path}")
        assert fault.fault.startswith("small flat on set1: the network gives ")
        assert "for stimulus 7 and unit 100, and" in fault.fault
        assert f"{of_largest:.1e} of the largest response (1 of 18 stimuli differ)" in fault.fault
        assert f"fexp verify --replay {ALL} --seed 3 --repair" in fault.remedy
    assert len(replayed.faults) == found


def test_rounding_hides_no_more_than_its_own_step(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_altered(small, monkeypatch, 0.05, Ingest(keep_bits=6))
    assert counts(replay(small, Options(replay=ALL))) == (STIMULI - 1, 1, 0)


def test_it_is_found_when_its_stimulus_is_drawn_and_a_seed_draws_it_again(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_altered(small, monkeypatch, 0.1)
    one_each = [replay(small, Options(replay=1, seed=seed)) for seed in range(40)]
    assert {one.drawn for one in one_each} == {1}
    hit = [one for one in one_each if one.differed]
    assert 0 < len(hit) < 20  # 40/18 are expected; more than 19 have a chance below 1e-12
    for one in hit:
        assert replay(small, Options(replay=1, seed=one.seed)).faults == one.faults
    without = replay(small, Options(replay=1))
    assert replay(small, Options(replay=1, seed=without.seed)).faults == without.faults


def test_repair_takes_out_what_differs_and_an_ingest_stores_it_again(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(small, "small", ["early"], "set1")
    ingest_altered(small, monkeypatch, 0.1)
    faults = replay(small, Options(replay=ALL)).faults
    done = repair(locate(small.location), faults)
    assert "fexp ingest --network small --layer flat --stimuli set1" in done[faults[0]]
    assert small.frame("SELECT DISTINCT layer FROM fragments")["layer"].to_list() == ["early"]
    ingest(small, "small", ["flat"], "set1")
    assert counts(replay(small, Options(replay=ALL))) == (2 * STIMULI, 0, 0)


def test_another_preprocessing_is_found(small: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(small, "small", ["early", "flat"], "set1")
    pixels = Preprocessing.pixels
    monkeypatch.setattr(Preprocessing, "pixels", lambda self, image: pixels(self, image)[::-1])
    found = replay(small, Options(replay=ALL))
    assert counts(found) == (0, 2 * STIMULI, 0)
    assert {fault.fault.split(":")[0] for fault in found.faults} == {
        "small early on set1",
        "small flat on set1",
    }


def test_an_image_that_changed_or_is_gone_costs_its_own_stimuli(
    small: Warehouse, tmp_path: Path
) -> None:
    ingest(small, "small", ["early", "flat"], "set1")
    files = small.frame("SELECT file FROM stimuli ORDER BY stimulus_id")["file"]
    (tmp_path / "photographs" / files[3]).unlink()
    changed = tmp_path / "photographs" / files[5]
    changed.write_bytes(changed.read_bytes() + b"\0")
    found = replay(small, Options(replay=ALL, seed=1))
    assert counts(found) == (2 * (STIMULI - 2), 0, 4)
    gone, other = sorted(fault.fault for fault in found.faults)[::-1]
    assert "has changed since set1 was registered" in other + gone
    assert "does not exist" in other + gone
    for fault in found.faults:
        assert fault.what is Kind.network
        assert fault.fault.startswith("2 drawn of set1 could not be run again: ")
        assert fault.remedy == f"When that is done, run: fexp verify --replay {ALL} --seed 1"
    assert repair(locate(small.location), found.faults) == {}


def test_a_batch_that_rounds_between_layers_is_run_as_it_was_or_not_at_all(
    small: Warehouse, tmp_path: Path
) -> None:
    ingest(small, "small", ["flat"], "set1", Ingest(precision="bf16", batch_size=6))
    file = small.frame("SELECT file FROM stimuli WHERE stimulus_id = 7")["file"].item()
    (tmp_path / "photographs" / file).unlink()
    assert counts(replay(small, Options(replay=ALL))) == (12, 0, 6)


def test_weights_that_are_gone_or_others_are_named_and_other_networks_are_run(
    small: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(small, "twin", Network(architecture="small", untrained=True, seed=5))
    for network in ("small", "twin"):
        ingest(small, network, ["flat"], "set1")
    rows = tables.read(small.storage, "networks")
    load = registry.load

    def gone(wh: Warehouse, row: registry.Registered) -> registry.Network:
        kind = "file:weights.pt" if row.network == "twin" else row.weights_source
        return load(wh, registry.Registered(**vars(row) | {"weights_source": kind}))

    monkeypatch.setattr(registry, "load", gone)
    found = replay(small, Options(replay=ALL))
    assert rows.height == 2
    assert counts(found) == (STIMULI, 0, STIMULI)
    (fault,) = found.faults
    assert fault.where == "activations/network=twin"
    assert "The weights file weights.pt of twin is not on this machine; say where it" in fault.fault


def test_a_layer_or_architecture_that_is_no_more_is_named(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(small, "small", ["flat"], "set1")
    known = registry.architecture("small")
    monkeypatch.delitem(known.layers, "flat")  # type: ignore[arg-type]  # it is a dict
    (fault,) = replay(small, Options(replay=3)).faults
    assert "3 drawn of set1 could not be run again: The network has no layer 'flat'" in fault.fault
    from fexp_store.networks.architectures import ARCHITECTURES

    monkeypatch.delitem(ARCHITECTURES, "small")
    found = replay(small, Options(replay=3))
    assert counts(found) == (0, 0, 3)
    assert "There is no architecture 'small'" in found.faults[0].fault


def test_what_was_imported_is_never_drawn(small: Warehouse) -> None:
    small.put("elsewhere", "out", "set1", np.ones((STIMULI, 4)))
    found = replay(small, Options(replay=5))
    assert (counts(found), found.faults, found.left_out) == ((0, 0, 0), [], {"imported": 1})
    ingest(small, "small", ["flat"], "set1")
    found = replay(small, Options(replay=ALL))
    assert (counts(found), found.left_out) == ((STIMULI, 0, 0), {"imported": 1})


def test_a_damaged_file_is_not_compared(small: Warehouse) -> None:
    ingest(small, "small", ["early", "flat"], "set1")
    path = small.frame("SELECT path FROM fragments WHERE layer = 'flat'")["path"].item()
    file = Path(small.location, "activations", path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found = replay(Warehouse(small.location), Options(replay=ALL))
    assert counts(found) == (STIMULI, 0, STIMULI)
    assert "is not the file that was stored" in found.faults[0].fault


def test_memory_is_bounded_whatever_is_drawn(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fexp_store.warehouse.activations import fragment, matrix, write

    for module in (fragment, matrix, write):
        monkeypatch.setattr(module, "units_a_group", lambda n: max(1, 9000 // n))
    ingest(small, "small", ["early"], "set1")  # 8192 units, 500 a row group
    monkeypatch.setattr(again, "BLOCK_BYTES", 2 * 4 * STIMULI * 500)
    monkeypatch.setattr(again, "HELD_BYTES", 3 * 4 * 8192)
    blocks, held, images = [], [], []
    read, stored = matrix.read_units, again._stored
    run = again.Forward.run

    def reading(*arguments: object) -> object:
        blocks.append(read(*arguments))  # type: ignore[arg-type]  # passed on
        return blocks[-1]

    monkeypatch.setattr(matrix, "read_units", reading)
    monkeypatch.setattr(
        again, "_stored", lambda wh, asked, rows: held.append(len(rows)) or stored(wh, asked, rows)
    )
    monkeypatch.setattr(
        again.Forward,
        "run",
        lambda self, pixels, *rest: images.append(len(pixels)) or run(self, pixels, *rest),
    )
    assert counts(replay(small, Options(replay=ALL))) == (STIMULI, 0, 0)
    assert held == [3] * 6
    assert sum(images) == STIMULI
    assert {block.shape for block in blocks} == {(STIMULI, 1000), (STIMULI, 192)}


def test_each_image_goes_once_through_a_network_for_all_layers(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(small, "small", ["early", "late", "flat"], "set1")
    images, loaded = [], []
    run, load = again.Forward.run, registry.load
    monkeypatch.setattr(registry, "load", lambda *a: loaded.append(1) or load(*a))
    monkeypatch.setattr(
        again.Forward,
        "run",
        lambda self, pixels, *rest: images.append(len(pixels)) or run(self, pixels, *rest),
    )
    assert replay(small, Options(replay=ALL)).agreed == 3 * STIMULI
    assert (sum(images), len(loaded), max(images)) == (STIMULI, 1, again.IMAGES)


@pytest.mark.parametrize("recorded", ["cuda", "bogus", None])
def test_another_device_is_compared_less_strictly(
    small: Warehouse, monkeypatch: pytest.MonkeyPatch, recorded: str | None
) -> None:
    from fexp_store.warehouse import runs

    append = runs._append

    def forged(storage: object, row: dict[str, object]) -> None:
        parameters = json.loads(str(row["parameters"])) | {"device": recorded}
        append(storage, row | {"parameters": json.dumps(parameters)})  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "_append", forged)
    ingest_altered(small, monkeypatch, 0.5e-3)
    options = Options(replay=ALL, device="cpu")
    assert counts(replay(small, options)) == (STIMULI, 0, 0)


def test_tolerances_are_of_the_largest_response() -> None:
    assert (SAME_DEVICE, OTHER_DEVICE) == (1e-5, 1e-3)
    again_ = np.array([0.0, 1.0, -50.0], np.float32)
    for relative, agrees in ((0.9e-5, True), (1.1e-5, False)):
        stored = again_ + np.float32(relative * 50) * np.array([1, 0, 0], np.float32)
        difference = Agreement(1e-5, None, "fp32").difference(stored, again_, 50.0)
        assert (difference is None) == agrees
        if difference is not None:
            assert difference[:2] == (1, 0)
            assert difference.relative == pytest.approx(relative, rel=1e-4)


def test_two_sides_of_a_rounding_agree_and_a_step_beside_does_not() -> None:
    edge = 1 + 2.0**-9  # half way between two values of 8 bits
    stored = np.array([1.0, 1 + 2.0**-8, 1 + 2.0**-7], np.float32)
    again_ = np.array([edge + 1e-7, edge - 1e-7, edge], np.float32)
    difference = Agreement(1e-5, 8, "fp32").difference(stored, again_, 1.0)
    assert difference is not None
    assert difference[:2] == (1, 2)


def test_values_that_are_not_finite_agree_with_themselves_alone() -> None:
    nan, inf = np.nan, np.inf
    stored = np.array([nan, inf, -inf, nan, inf, 1.0, -inf], np.float32)
    again_ = np.array([nan, inf, -inf, 1.0, 1.0, nan, inf], np.float32)
    for precision in ("fp32", "bf16"):
        for keep_bits in (None, 4):
            agreement = Agreement(1e-5, keep_bits, precision)
            assert agreement.difference(stored[:3], again_[:3], 1.0) is None
            difference = agreement.difference(stored, again_, 1.0)
            assert difference is not None
            assert (difference.units, difference.relative) == (4, inf)

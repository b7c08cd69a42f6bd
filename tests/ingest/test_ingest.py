"""Ingest: what is stored is what the network computes, once, whatever happens in between."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from support.cells import cut_cells
from support.direct import assert_close, direct_inputs
from support.writing import state, write_photographs

from fexp_store import BadInput, Conflict, FexpError, NotFound, Warehouse
from fexp_store.ingest import Options, ingest
from fexp_store.ingest.preflight import check_disk, preflight
from fexp_store.ingest.request import prepare
from fexp_store.networks import registry
from fexp_store.networks.architectures import dlib_face, vgg
from fexp_store.networks.initialise import initialise
from fexp_store.networks.records import Options as Network
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.activations import grid
from fexp_store.warehouse.activations.write import round_mantissa
from fexp_store.warehouse.networks import registered


def direct_responses(
    module: torch.nn.Module, paths: dict[str, str], x: torch.Tensor
) -> dict[str, NDArray[np.float32]]:
    """Every layer's output in one ordinary forward pass."""
    found: dict[str, NDArray[np.float32]] = {}
    for layer, path in paths.items():
        module.get_submodule(path).register_forward_hook(
            lambda _m, _i, out, layer=layer: found.__setitem__(
                layer, out.detach().clone().flatten(1).numpy()
            )
        )
    with torch.no_grad():
        module.eval()(x)
    return found


@pytest.mark.slow
def test_every_dlib_layer_is_stored_as_torch_computes_it(
    ready: Warehouse, photographs: Path
) -> None:
    ingest(ready, "dlib", list(dlib_face.LAYERS), "set1", Options(batch_size=7))
    module = dlib_face.DlibFaceResNet()
    initialise(module, "kaiming_normal", 3)
    mean = torch.tensor([122.782, 117.001, 104.298]).reshape(1, 3, 1, 1)
    x = (direct_inputs(ready, photographs, 150) - mean) / 256
    for layer, direct in direct_responses(module, dlib_face.LAYERS, x).items():
        assert_close(ready.matrix("dlib", layer, "set1").values, direct, layer)


@pytest.mark.slow
def test_every_vgg_layer_is_stored_as_torch_computes_it(empty: Warehouse, tmp_path: Path) -> None:
    manifest = write_photographs(tmp_path / "photographs", 2, ("anger", "fear"))
    add_manifest(empty, "set1", manifest)
    registry.add(empty, "vgg", Network(architecture="vgg_face", untrained=True, seed=5))
    ingest(empty, "vgg", list(vgg.LAYERS), "set1")
    module = vgg.VGG16()
    initialise(module, "kaiming_normal", 5)
    mean = torch.tensor([129.1863, 104.7624, 93.5940]).reshape(1, 3, 1, 1)
    x = direct_inputs(empty, manifest, 224) - mean
    for layer, direct in direct_responses(module, vgg.LAYERS, x).items():
        assert_close(empty.matrix("vgg", layer, "set1").values, direct, layer)


@pytest.mark.slow
def test_the_batch_size_does_not_change_activations(ready: Warehouse, photographs: Path) -> None:
    add_manifest(ready, "again", photographs)
    ingest(ready, "dlib", ["conv4_3", "embedding"], "set1", Options(batch_size=24))
    ingest(ready, "dlib", ["conv4_3", "embedding"], "again", Options(batch_size=1))
    for layer in ("conv4_3", "embedding"):
        one, other = (ready.matrix("dlib", layer, name).values for name in ("set1", "again"))
        assert_close(one, other, layer)


def test_a_second_ingest_runs_nothing_and_writes_nothing(ready: Warehouse) -> None:
    first = ingest(ready, "dlib", ["conv4_3", "embedding"], "set1")
    assert (first.stimuli, first.fragments) == (24, 2)
    before = state(ready)
    started: list[int] = []
    second = ingest(
        ready, "dlib", ["embedding", "conv4_3"], "set1", started=lambda n: started.append(n) or len
    )
    assert (second.stimuli, second.fragments, started) == (0, 0, [])
    assert state(ready) == before


def test_only_the_missing_layer_is_run(ready: Warehouse) -> None:
    ingest(ready, "dlib", ["conv4_3"], "set1")
    assert ingest(ready, "dlib", ["conv4_3", "embedding"], "set1").fragments == 1
    counts = ready.frame("SELECT layer, count(*) AS n FROM activations GROUP BY ALL ORDER BY ALL")
    assert counts.rows() == [("conv4_3", 24 * 8192), ("embedding", 24 * 128)]


@pytest.mark.parametrize("memory", [0.25, 64, 1024])
def test_memory_changes_neither_fragments_nor_bits(
    ready: Warehouse, photographs: Path, monkeypatch: pytest.MonkeyPatch, memory: float
) -> None:
    cut_cells(monkeypatch, 7, 8192)
    add_manifest(ready, "again", photographs)
    layers = ["conv4_3", "conv4_3:pre", "embedding"]
    ingest(ready, "dlib", layers, "set1", Options(batch_size=5))
    ingest(ready, "dlib", layers, "again", Options(memory=memory, batch_size=5))
    cut = ready.frame(
        "SELECT DISTINCT layer, stimulus_start, stimulus_stop FROM fragments ORDER BY ALL"
    )
    starts = [(0, 7), (7, 14), (14, 21), (21, 24)]
    assert cut.rows() == [
        *(("conv4_3", *both) for both in starts),
        *(("conv4_3:pre", *both) for both in starts),
        ("embedding", 0, 24),
    ]
    assert ready.frame("SELECT count(*) FROM fragments").item() == 2 * len(cut)
    for layer in layers:
        one, other = (ready.matrix("dlib", layer, name).values for name in ("set1", "again"))
        assert np.array_equal(one.view(np.uint32), other.view(np.uint32))


def test_the_run_records_what_is_needed_to_repeat_it(ready: Warehouse) -> None:
    ingest(ready, "dlib", ["embedding"], "set1", Options(batch_size=5))
    run = ready.frame(
        "SELECT r.*, r.parameters->>'batch_size' AS batch"
        " FROM runs AS r JOIN fragments USING (run_id)"
    ).row(0, named=True)
    assert (run["kind"], run["batch"]) == ("ingest", "5")
    assert run["seconds"] > 0
    assert ready.location not in str(run)


def test_another_precision_is_not_mixed_into_a_layer(ready: Warehouse) -> None:
    ingest(ready, "dlib", ["embedding"], "set1")
    before = state(ready)
    for options in (Options(keep_bits=10), Options(precision="bf16")):
        with pytest.raises(Conflict, match="stored with precision fp32 and all bits kept"):
            ingest(ready, "dlib", ["embedding"], "set1", options)
    assert state(ready) == before


@given(
    keep_bits=st.integers(0, 22),
    values=st.lists(st.floats(width=32, allow_nan=True), min_size=1, max_size=20),
)
def test_bit_rounding_is_to_nearest(keep_bits: int, values: list[float]) -> None:
    exact = np.array(values, np.float32)
    rounded = exact.copy()
    round_mantissa(rounded, keep_bits)
    assert (rounded.view(np.uint32)[np.isfinite(exact)] % (1 << (23 - keep_bits)) == 0).all()
    normal = np.isfinite(exact) & np.isfinite(rounded) & (np.abs(exact) > 1e-37)
    error = np.abs(rounded[normal].astype(float) - exact[normal])
    assert (error <= np.abs(exact[normal].astype(float)) * 2.0 ** -(keep_bits + 1)).all()
    odd = ~np.isfinite(exact)
    assert np.array_equal(rounded[odd], exact[odd], equal_nan=True)


def test_kept_bits_are_stored_and_recorded(ready: Warehouse, photographs: Path) -> None:
    add_manifest(ready, "rounded", photographs)
    ingest(ready, "dlib", ["conv4_3"], "set1")
    ingest(ready, "dlib", ["conv4_3"], "rounded", Options(keep_bits=7))
    exact, rounded = (ready.matrix("dlib", "conv4_3", s).values for s in ("set1", "rounded"))
    np.testing.assert_allclose(rounded, exact, rtol=2.0**-8)
    sizes = ready.frame("SELECT keep_bits, bytes FROM fragments ORDER BY keep_bits NULLS FIRST")
    assert sizes["keep_bits"].to_list() == [None, 7]
    assert sizes["bytes"][1] < 0.7 * sizes["bytes"][0]


def test_what_is_not_registered_is_named_with_what_is(ready: Warehouse) -> None:
    before = state(ready)
    with pytest.raises(NotFound, match=r"no network 'vgg'; registered: dlib\."):
        ingest(ready, "vgg", ["conv5_3"], "set1")
    with pytest.raises(NotFound, match=r"no layer 'conv9'; its layers: conv1:pre, conv1, .*embedd"):
        ingest(ready, "dlib", ["conv9"], "set1")
    with pytest.raises(NotFound, match=r"no stimulus set 'set2'; registered: set1\."):
        ingest(ready, "dlib", ["conv1"], "set2")
    assert state(ready) == before


@pytest.mark.parametrize("fault", ["missing", "changed", "truncated"])
def test_an_image_that_is_not_what_was_registered_stores_nothing(
    ready: Warehouse, photographs: Path, fault: str
) -> None:
    image = photographs.parent / "2_fear.png"
    content = image.read_bytes()
    if fault == "missing":
        image.unlink()
    else:
        image.write_bytes(content[:-100] if fault == "truncated" else content + b"\0")
    before = state(ready)
    kind, words = BadInput, "has changed since set1 was registered"
    if fault == "missing":
        kind, words = NotFound, "does not exist any more; restore it, or .*: fexp stimuli add set1"
    with pytest.raises(kind, match=words):
        ingest(ready, "dlib", ["conv1"], "set1")
    assert state(ready) == before


def test_what_is_refused_leaves_no_scratch_folder(small: Warehouse, tmp_path: Path) -> None:
    prepared = prepare(small, "small", ["early"], "set1", Options())
    found = preflight(small, prepared)
    check_disk(small, found)
    with pytest.raises(FexpError, match="GB free and this needs about"):
        check_disk(small, replace(found, disk_bytes=1 << 60))
    (tmp_path / "photographs" / small.frame("FROM stimuli")["file"][0]).unlink()
    with pytest.raises(NotFound):
        ingest(small, "small", ["early"], "set1")
    assert not Path(small.location, ".local", "scratch").exists()


def test_what_was_imported_is_not_run_and_the_sentence_says_what_to_do(small: Warehouse) -> None:
    small.put("elsewhere", "out", "set1", np.ones((18, 4)))
    assert ingest(small, "elsewhere", ["out"], "set1").stimuli == 0
    add_manifest(small, "set2", Path(small.location).parent / "photographs" / "manifest.csv")
    before = state(small)
    with pytest.raises(NotFound) as raised:
        ingest(small, "elsewhere", ["out"], "set2")
    assert str(raised.value) == (
        "18 stimuli of elsewhere out on set2 are not stored, and fexp cannot run elsewhere, which "
        "was imported; import them: fexp import FILE --network elsewhere --layer out --stimuli set2"
    )
    assert state(small) == before


def test_weights_that_are_not_on_this_machine_are_not_found(ready: Warehouse) -> None:
    row = replace(registered(ready, "dlib"), weights_source="file:weights.dat")
    with pytest.raises(NotFound, match=r"weights\.dat of dlib is not on this machine; say where"):
        registry.load(ready, row)


def test_other_weights_than_were_registered_are_refused(ready: Warehouse) -> None:
    row = registered(ready, "dlib")
    with pytest.raises(BadInput, match="not those it was registered with"):
        registry.load(ready, replace(row, seed=4))


SMALL = 5 * 8192 * 4  # cells of 5 stimuli of conv4_3


def _ingest(root: str, batch_size: int) -> int:
    grid.FRAGMENT_BYTES = SMALL
    options = Options(batch_size=batch_size)
    return ingest(Warehouse(root), "dlib", ["conv4_3", "embedding"], "set1", options).fragments


@pytest.mark.slow
def test_two_processes_that_ingest_the_same_store_it_once(ready: Warehouse) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        committed = list(pool.map(_ingest, [ready.location] * 3, [1, 3, 32]))
    assert sum(committed) == 6
    assert_every_activation_once(ready, {"conv4_3": 8192, "embedding": 128}, 24)


def _ingest_layer(root: str, layer: str) -> int:
    grid.FRAGMENT_BYTES = SMALL
    return ingest(Warehouse(root), "dlib", [layer], "set1").fragments


@pytest.mark.slow
def test_processes_on_different_layers_and_on_the_same_all_succeed(ready: Warehouse) -> None:
    layers = {"conv4_1": 8192, "conv4_2": 8192, "conv5_1": 4096, "embedding": 128}
    jobs = [*layers, "conv4_1"]
    with ProcessPoolExecutor(len(jobs), mp_context=get_context("spawn")) as pool:
        list(pool.map(_ingest_layer, [ready.location] * len(jobs), jobs))
    assert_every_activation_once(ready, layers, 24)


def assert_every_activation_once(wh: Warehouse, layers: dict[str, int], n_stimuli: int) -> None:
    counts = wh.frame("""
        SELECT layer, count(*) AS n, count(DISTINCT (unit_id, stimulus_id)) AS different
        FROM activations GROUP BY layer ORDER BY layer
    """)
    expected = [(name, units * n_stimuli, units * n_stimuli) for name, units in layers.items()]
    assert counts.rows() == sorted(expected)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [1, 1024])  # in a scratch file, and in the fragment itself
def test_a_full_disk_is_one_sentence_and_leaves_no_files(ready: Warehouse, memory: int) -> None:
    before = state(ready)
    code = (
        "import resource, signal, sys; from fexp_store import Warehouse\n"
        "from fexp_store.causes import sentence\n"
        "from fexp_store.ingest import Options, ingest\n"
        "wh = Warehouse(sys.argv[1]); wh.sql('FROM runs')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"try: ingest(wh, 'dlib', ['conv4_3'], 'set1', Options(memory={memory}))\n"
        "except OSError as error: print(sentence(error))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, ready.location],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 1
    assert "may not grow as large as is needed" in done.stdout
    assert state(ready) == before


def test_a_file_of_images_with_alpha_or_grey_is_read_as_rgb(
    empty: Warehouse, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (150, 150), np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([grey] * 3 + [np.full_like(grey, 255)], -1)).save(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text("path,identity,expression\ngrey.png,a,fear\na.png,b,fear\n")
    add_manifest(empty, "set1", tmp_path / "m.csv")
    registry.add(empty, "dlib", Network(architecture="dlib_face", untrained=True))
    ingest(empty, "dlib", ["conv1"], "set1")
    values = empty.matrix("dlib", "conv1", "set1").values
    assert values.any()
    assert (values[0] == values[1]).all()

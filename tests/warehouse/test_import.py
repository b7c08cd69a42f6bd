"""Activations that were made elsewhere come in whole and as they are, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.matrix_writers import WRITERS, hdf5, npy
from support.planted import prototype_rows, register_rows
from support.writing import Fexp, state

from fexp_store import BadInput, Conflict, NotFound, Warehouse

N, SHAPE = 12, (3, 2, 4)
UNITS = 24


@pytest.fixture
def wh(empty: Warehouse) -> Warehouse:
    """A warehouse with a set of 12 stimuli."""
    register_rows(empty, "faces", prototype_rows(["anna", "ben"]))
    return empty


@pytest.fixture
def values() -> NDArray[np.float32]:
    """Responses of 24 units, with zeros of both signs and the smallest and largest numbers."""
    x = np.random.default_rng(0).normal(size=(N, UNITS)).astype(np.float32)
    x[0, :4] = 0, -0.0, np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal
    return x


def images(wh: Warehouse) -> list[str]:
    return wh.frame("SELECT image_sha256 FROM stimuli ORDER BY stimulus_id")[
        "image_sha256"
    ].to_list()


def bits(wh: Warehouse, network: str, layer: str = "top") -> NDArray[np.uint32]:
    return wh.matrix(network, layer, "faces").values.view(np.uint32)


@pytest.mark.parametrize("form", WRITERS)
def test_a_file_of_any_format_comes_in_bit_by_bit(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path, form: str
) -> None:
    file = WRITERS[form](tmp_path, values, images(wh))
    done = wh.put("theirs", "top", "faces", file)
    assert (done.stimuli, done.units, done.fragments) == (N, UNITS, 1)
    assert np.array_equal(bits(wh, "theirs"), values.view(np.uint32))
    (about,) = wh.frame("SELECT parameters FROM runs WHERE seconds IS NOT NULL")["parameters"]
    assert json.loads(about)["file"] == file.name
    if file.is_file():
        assert json.loads(about)["sha256"] == sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", [f for f in WRITERS if "npy" not in f and f != "mat73"])
def test_rows_in_another_order_are_put_in_that_of_the_set_by_their_labels(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path, form: str
) -> None:
    """Some of the writers label rows by image; the others number them."""
    order = np.random.default_rng(1).permutation(N)
    labels = [images(wh)[i] for i in order]
    file = WRITERS[form](tmp_path, values[order], labels)
    wh.put("theirs", "top", "faces", file)
    numbered = form in ("mat_packed", "zarr_2", "zarr_3")
    expected = values[order] if numbered else values
    assert np.array_equal(bits(wh, "theirs"), expected.view(np.uint32))


@pytest.mark.parametrize("memory", [1024, 1e-3])
def test_rows_can_be_labelled_in_python_and_in_a_file(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path, memory: float
) -> None:
    order = np.random.default_rng(2).permutation(N)
    wh.put("by_number", "top", "faces", values[order], rows=order, memory=memory)
    wh.put("by_image", "top", "faces", values[order], rows=[images(wh)[i] for i in order])
    (tmp_path / "ids.txt").write_text("\n".join(map(str, order)))
    file = npy(tmp_path, values[order], [])
    wh.put("by_file", "top", "faces", file, rows=str(tmp_path / "ids.txt"), memory=memory)
    for name in ("by_number", "by_image", "by_file"):
        assert np.array_equal(bits(wh, name), values.view(np.uint32))
    assert str(tmp_path) not in "".join(wh.frame("SELECT parameters FROM runs")["parameters"])


@pytest.mark.parametrize("axes", ["NCHW", "NHWC", "CHWN", "HWCN"])
@pytest.mark.parametrize("memory", [1024, 1e-3])
def test_four_dimensions_give_units_numbered_by_channel_row_and_column(
    wh: Warehouse, values: NDArray[np.float32], axes: Any, memory: float
) -> None:
    four = values.reshape(N, *SHAPE)
    turned = four.transpose(["NCHW".index(axis) for axis in axes])
    wh.put("theirs", "top", "faces", turned, axes=axes, memory=memory)
    unit = wh.frame("SELECT unit_id FROM units WHERE channel = 2 AND row = 1 AND col = 3").item()
    found = wh.matrix("theirs", "top", "faces").values
    assert np.array_equal(found[:, unit], four[:, 2, 1, 3])
    assert np.array_equal(found, values)


def test_two_dimensions_can_be_the_other_way_round_and_have_a_shape(
    wh: Warehouse, values: NDArray[np.float32]
) -> None:
    wh.put("theirs", "top", "faces", values.T, axes="UN", shape=SHAPE)
    assert np.array_equal(wh.matrix("theirs", "top", "faces").values, values)
    assert wh.frame("SELECT max(channel), max(row), max(col) FROM units").row(0) == (2, 1, 3)
    with pytest.raises(BadInput, match="--axes UN"):
        wh.put("others", "top", "faces", values.T)


@pytest.mark.parametrize(
    "given",
    [
        lambda x: torch.from_numpy(x).requires_grad_(),
        lambda x: x.astype(np.float64),
        lambda x: x.astype(">f4"),
        lambda x: x.tolist(),
        lambda x: np.asfortranarray(x),
    ],
    ids=["tensor", "float64", "big-endian", "lists", "columns"],
)
def test_an_array_comes_in_as_float32(
    wh: Warehouse, values: NDArray[np.float32], given: Callable[[Any], Any]
) -> None:
    wh.put("theirs", "top", "faces", given(values))
    assert np.array_equal(bits(wh, "theirs"), values.view(np.uint32))


def test_half_precision_and_whole_numbers_come_in(wh: Warehouse) -> None:
    whole = np.arange(N * 3).reshape(N, 3)
    wh.put("half", "top", "faces", torch.from_numpy(whole).bfloat16())
    wh.put("whole", "top", "faces", whole)
    for name in ("half", "whole"):
        assert np.array_equal(wh.matrix(name, "top", "faces").values, whole)


def _with(value: float) -> NDArray[np.float64]:
    x = np.zeros((N, 5))
    x[7, 3] = value
    return x


LABELS = list(range(N))
REFUSED = {
    "not a number": (_with(np.nan), {}, "nan for stimulus 7, unit 3"),
    "infinity": (_with(-np.inf), {}, "-inf for stimulus 7, unit 3"),
    "beyond float32": (_with(1e39), {}, "1e\\+39 for stimulus 7, unit 3"),
    "complex": (np.zeros((N, 5), complex), {}, "complex"),
    "text": (np.full((N, 5), "1"), {}, "real numbers"),
    "objects": (np.full((N, 5), None), {}, "real numbers"),
    "ragged": ([[1.0], [1.0, 2.0]], {}, "no array of numbers"),
    "a vector": (np.zeros(N), {}, "must be stimuli x units"),
    "three dimensions": (np.zeros((N, 2, 3)), {}, "must be stimuli x units"),
    "no units": (np.zeros((N, 0)), {}, "must be stimuli x units"),
    "no stimuli": (np.zeros((0, 5)), {}, "must be stimuli x units"),
    "too few stimuli": (np.zeros((N - 1, 5)), {}, "11 stimuli and the set has 12"),
    "too many stimuli": (np.zeros((N + 1, 5)), {}, "13 stimuli and the set has 12"),
    "another shape": (np.zeros((N, 5)), {"shape": (1, 2, 3)}, "has 5 units"),
    "a shape beside four": (np.zeros((N, 1, 2, 3)), {"shape": (6, 1, 1)}, "1 x 2 x 3"),
    "no shape": (np.zeros((N, 6)), {"shape": (2, 3)}, "shape must be C,H,W"),
    "axes of four": (np.zeros((N, 6)), {"axes": "NCHW"}, "what --axes says"),
    "an unknown number": (np.zeros((N, 5)), {"rows": [*LABELS[1:], 99]}, "99"),
    "half a number": (np.zeros((N, 5)), {"rows": [*LABELS[1:], 0.5]}, "0.5"),
    "an unknown image": (np.zeros((N, 5)), {"rows": ["a"] * N}, "'a', and the set has no such"),
    "one twice": (np.zeros((N, 5)), {"rows": [*LABELS[1:], 1]}, "Rows 0 and 11 are both"),
    "too few labels": (np.zeros((N, 5)), {"rows": LABELS[1:]}, "stimulus 0"),
    "no such labels": (np.zeros((N, 5)), {"rows": "nowhere"}, "neither an array 'nowhere'"),
    "no such file": (Path("nowhere.npy"), {}, "There is no file"),
    "an unknown format": (Path("x.csv"), {}, "no known format"),
    "an unknown option": (np.zeros((N, 5)), {"axis": "UN"}, "unknown key 'axis'"),
    "a wrong option": (np.zeros((N, 5)), {"keep_bits": 40}, "keep_bits must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_such_matrix_is_refused_and_changes_nothing(wh: Warehouse, case: str) -> None:
    given, options, sentence = REFUSED[case]
    before = state(wh)
    with pytest.raises(BadInput, match=sentence):
        wh.put("theirs", "top", "faces", given, **options)
    assert state(wh) == before


def test_a_set_and_names_must_be_right(wh: Warehouse) -> None:
    x = np.zeros((N, 5))
    with pytest.raises(NotFound, match="registered: faces"):
        wh.put("theirs", "top", "places", x)
    for network, layer in (("../up", "top"), ("theirs", "../top"), ("theirs", ""), ("a b", "top")):
        with pytest.raises(BadInput, match="cannot name"):
            wh.put(network, layer, "faces", x)


def test_the_same_again_changes_nothing_whatever_file_it_comes_from(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path
) -> None:
    wh.put("theirs", "top", "faces", values, source="simulated")
    before = state(wh)
    assert wh.put("theirs", "top", "faces", values).fragments == 0
    assert wh.put("theirs", "top", "faces", hdf5(tmp_path, values, images(wh))).fragments == 0
    assert state(wh) == before


def test_a_name_means_one_content_for_ever(ready: Warehouse) -> None:
    x = np.random.default_rng(0).random((24, 6), np.float32)
    ready.put("theirs", "top", "set1", x, source="A", training="object")
    other = x.copy()
    other[3, 5] = np.nextafter(x[3, 5], np.float32(2))
    before = state(ready)
    for given, options, sentence in (
        (other, {}, "unit 5 for stimulus 3"),
        (x[:, :5], {}, "another layers"),
        (x, {"shape": (1, 2, 3)}, "another layers"),
        (x, {"source": "B"}, "another weights_source"),
        (x, {"training": "none"}, "another training"),
        (x, {"group": "g"}, "another network_group"),
    ):
        with pytest.raises(Conflict, match=sentence):
            ready.put("theirs", "top", "set1", given, **options)
    with pytest.raises(Conflict, match="architecture"):
        ready.put("dlib", "top", "set1", x)
    assert state(ready) == before


def test_further_layers_and_sets_join_an_imported_network(
    wh: Warehouse, values: NDArray[np.float32]
) -> None:
    register_rows(wh, "more", prototype_rows(["carl"]))
    said = {"source": "MatConvNet", "training": "object", "licence": "CC0", "group": "models"}
    wh.put("theirs", "low", "faces", values, shape=SHAPE, **said)
    wh.put("theirs", "high", "faces", values[:, :5])
    wh.put("theirs", "low", "more", values[:6], shape=SHAPE)
    (row,) = wh.frame("FROM networks").to_dicts()
    listed = [(x["name"], x["shape"]) for x in json.loads(row["layers"])]
    assert listed == [("low", [3, 2, 4]), ("high", [5])]
    assert (row["training"], row["licence"], row["network_group"]) == ("object", "CC0", "models")
    assert row["weights_source"] == "imported: MatConvNet"
    assert wh.frame("SELECT layer, count(*) FROM units GROUP BY ALL ORDER BY ALL").rows() == [
        ("high", 5),
        ("low", 24),
    ]
    assert np.array_equal(wh.matrix("theirs", "low", "more").values, values[:6])


def test_kept_bits_round_what_is_stored_and_not_the_array(
    wh: Warehouse, values: NDArray[np.float32]
) -> None:
    values[0, 2] = 1
    before = values.copy()
    wh.put("theirs", "top", "faces", values, keep_bits=7)
    assert np.array_equal(values, before)
    found = wh.matrix("theirs", "top", "faces").values
    assert not (found.view(np.uint32) & 0xFFFF).any()
    np.testing.assert_allclose(found, values, rtol=2**-8, atol=1e-38)
    assert wh.put("theirs", "top", "faces", values, keep_bits=7).fragments == 0


def test_units_that_are_no_whole_layer_are_refused(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path
) -> None:
    np.savez(tmp_path / "some.npz", values=values, unit_id=np.arange(UNITS) + 1)
    with pytest.raises(BadInput, match="no whole layer"):
        wh.put("theirs", "top", "faces", tmp_path / "some.npz")


def test_several_matrices_in_a_file_must_be_told_apart(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path
) -> None:
    np.savez(tmp_path / "two.npz", a=values, b=values[:, :3])
    with pytest.raises(BadInput, match=r"--array: a \(12, 24\), b \(12, 3\)"):
        wh.put("theirs", "top", "faces", tmp_path / "two.npz")
    assert wh.put("theirs", "top", "faces", tmp_path / "two.npz", array="b").units == 3


def test_an_import_imports_no_torch(wh: Warehouse) -> None:
    code = (
        "import sys, numpy, fexp_store\n"
        f"fexp_store.Warehouse({wh.location!r}).put('n', 'l', 'faces', numpy.zeros(({N}, 4)))\n"
        "assert not {'torch', 'h5py', 'zarr', 'scipy', 'sklearn'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_says_what_it_stored(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path, fexp: Fexp
) -> None:
    file = str(npy(tmp_path, values.reshape(N, *SHAPE), []))
    command = ("-w", wh.location, "import", file, "-n", "theirs", "-l", "top", "-s", "faces")
    done = fexp(*command, "--source", "MatConvNet")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Stored 12 stimuli x 24 units of theirs top for faces" in done.stderr
    assert "Stored already" in fexp(*command).stderr
    other = fexp(*command, "--axes", "CHWN")
    assert (other.returncode, other.stderr.count("\n")) == (1, 1)
    assert np.array_equal(wh.matrix("theirs", "top", "faces").values, values)


@pytest.mark.parametrize("form", ["npy", "npy_of_columns", "hdf5"])
def test_little_memory_gives_the_same_file_and_content(
    wh: Warehouse, tmp_path: Path, form: str
) -> None:
    many = np.random.default_rng(1).normal(size=(N, 200_000)).astype(np.float32)
    file = WRITERS[form](tmp_path, many, images(wh))
    wh.put("much", "top", "faces", file)
    wh.put("little", "top", "faces", file, memory=4)
    rows = wh.frame("SELECT fragment_id, rows FROM fragments ORDER BY ALL").rows()
    assert len(set(rows)) == 1
    assert np.array_equal(wh.matrix("little", "top", "faces").values, many)


def test_what_is_not_finite_is_stored_if_that_is_said(wh: Warehouse) -> None:
    x = _with(np.nan)
    x[0, 0] = 1e39
    wh.put("theirs", "top", "faces", x, allow_nonfinite=True)
    found = wh.matrix("theirs", "top", "faces").values
    assert np.array_equal(found, np.where(x > 1e38, np.inf, x), equal_nan=True)
    assert wh.frame("SELECT nonfinite FROM fragments").item() == 2
    assert wh.put("theirs", "top", "faces", x, allow_nonfinite=True).fragments == 0

"""Weights files that are damaged, hostile or of another network: one sentence, and no harm."""

import os
import pickle
import struct
import sys
import tarfile
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest
import safetensors.numpy
import scipy.io
import torch
import torchvision
from support import weights_writers
from support.weights_writers import T7, WRITERS, declared, narrow_state, random_state, shapes

from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.architectures import architecture
from fexp_store.networks.architectures.vgg import VGG16, parameters
from fexp_store.networks.initialise import weights_sha256
from fexp_store.networks.weights.by_content import read_weights


@pytest.fixture(scope="module")
def narrow():
    return narrow_state()


def refusal(path, state=None):
    """Return what read_weights says of a bad file: one sentence that begins with the file."""
    with pytest.raises(BadInput) as caught:
        read_weights(path, parameters(2622) if state is None else declared(state))
    text = str(caught.value)
    assert text.startswith(f"{path} ")
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 320
    return text.removeprefix(f"{path} ")


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("part", [0.002, 0.1, 0.6, 0.999])
def test_a_file_cut_short_is_refused(layout, part, narrow, tmp_path):
    path = tmp_path / "weights"
    WRITERS[layout](path, narrow)
    os.truncate(path, int(part * path.stat().st_size))
    assert "cut short" in refusal(path, narrow)


@pytest.mark.parametrize("layout", WRITERS)
def test_a_network_of_other_shapes_is_refused_with_the_layer_and_both_shapes(
    layout, narrow, tmp_path
):
    path = tmp_path / "weights"
    WRITERS[layout](path, narrow)
    expected = (
        "is of another network: the weight of conv1_1 has shape (6, 3, 3, 3), "
        "where (64, 3, 3, 3) is expected."
    )
    assert refusal(path) == expected


def test_another_last_layer_is_left_out_but_no_other_convolution(narrow, tmp_path):
    torch.save(weights_writers.tensors(narrow), tmp_path / "finetuned.pth")
    wanted = shapes(narrow) | {"fc8.weight": (2622, 13), "fc8.bias": (2622,)}
    read = read_weights(tmp_path / "finetuned.pth", replace(declared(narrow), shapes=wanted))
    assert (read.absent, read.left_out) == (("fc8",), ("fc8.weight", "fc8.bias"))
    assert list(read.state) == [name for name in narrow if not name.startswith("fc8")]
    wanted = shapes(narrow) | {"conv5_3.bias": (12,)}
    with pytest.raises(BadInput, match=r"the bias of conv5_3 has shape \(11,\), where \(12,\) is"):
        read_weights(tmp_path / "finetuned.pth", replace(declared(narrow), shapes=wanted))


def test_a_deeper_vgg_is_refused_although_all_of_vgg16_is_in_it(narrow, tmp_path):
    extra = {"conv3_4.weight": narrow["conv3_3.weight"], "conv3_4.bias": narrow["conv3_3.bias"]}
    torch.save(weights_writers.tensors(narrow | extra), tmp_path / "vgg19.pth")
    assert refusal(tmp_path / "vgg19.pth", narrow) == (
        "holds a parameter 'conv3_4.weight', which VGG-16 does not have."
    )


def test_a_residual_network_is_refused(tmp_path):
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet.pth")
    assert "'conv1.weight', which VGG-16 does not have" in refusal(tmp_path / "resnet.pth")


@pytest.mark.parametrize("layout", ["matconvnet", "pytorch_dag", "safetensors", "caffe_h5"])
def test_missing_layers_are_named(layout, narrow, tmp_path):
    path = tmp_path / "weights"
    if layout == "matconvnet":
        cells = weights_writers.matconvnet_layers(narrow)[0]
        kept = [cell for cell in cells if cell["name"] not in ("conv4_2", "fc7")]
        scipy.io.savemat(path, {"net": {"layers": weights_writers._cells(kept)}}, appendmat=False)
    else:
        names = [name for name in narrow if not name.startswith(("conv4_2", "fc7"))]
        if layout == "safetensors":
            safetensors.numpy.save_file({name: narrow[name] for name in names}, path)
        else:
            WRITERS[layout](path, {name: narrow[name] for name in names})
    assert refusal(path, narrow) == "lacks conv4_2, fc7, so it is not a whole VGG-16."


def test_a_network_with_too_few_layers_without_names_is_refused(narrow, tmp_path):
    path = tmp_path / "weights.h5"
    layers = weights_writers.keras_sequential(narrow)
    with h5py.File(path, "w") as file:
        weights_writers._write_keras(file, [item for item in layers if item[0] != "conv2d_3"])
    assert "holds 15 layers with weights" in refusal(path, narrow)


def test_code_in_a_pickle_is_never_run(tmp_path):
    ran = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(ran),)

    for protocol in (2, 4):
        (tmp_path / f"plain{protocol}.pth").write_bytes(pickle.dumps(Hostile(), protocol))
    content = {"conv1_1.weight": torch.ones(3), "extra": Hostile()}
    torch.save(content, tmp_path / "zip.pth")
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for path in tmp_path.glob("*.pth"):
        text = refusal(path)
        assert text.startswith("holds Python code or objects besides tensors")
        assert ", as a whole pickled model does, and none of it was run" in text
        assert not ran.exists()


def test_a_whole_pickled_model_is_refused_with_what_to_do(tmp_path):
    torch.save(VGG16(None, channels=(1, 1, 1, 1, 1)), tmp_path / "model.pth")
    assert "save only the model's state_dict()" in refusal(tmp_path / "model.pth")


def test_files_that_are_no_weights_are_told_apart(tmp_path):
    path = tmp_path / "weights"
    assert refusal(path).startswith("is not there")
    assert refusal(tmp_path).startswith("is not there, or is not a file")
    contents = {
        b"": "is empty",
        b"<!DOCTYPE html>\n<title>Not found</title>": "is a text file, not weights: it begins '<!D",
        b"version https://git-lfs.github.com/spec/v1\n": "is a text file",
        b"\x89PNG\r\n\x1a\n" + bytes(2000): "is of no known format: not MatConvNet .mat, Torch7",
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64": "is of MATLAB 7.3",
        b"\x1f\x8b" + bytes(100): "is an archive; unpack it",
    }
    for content, expected in contents.items():
        path.write_bytes(content)
        assert refusal(path).startswith(expected)
    with tarfile.open(tmp_path / "weights.tar", "w") as archive:
        archive.add(path)
    assert refusal(tmp_path / "weights.tar").startswith("is an archive; unpack it")


def test_an_hdf5_file_without_weights_is_refused(tmp_path):
    path = tmp_path / "empty.h5"
    with h5py.File(path, "w") as file:
        file.create_group("results")
    assert refusal(path).startswith("is an HDF5 file without weights")
    with h5py.File(path, "w") as file:
        weights_writers._write_keras(file, [("input_1", {}), ("pool1", {})])
    assert refusal(path) == "holds a Keras model without any weights."


def test_a_keras_file_from_theano_is_refused_for_its_kernels_are_turned_around(narrow, tmp_path):
    path = tmp_path / "theano.h5"
    weights_writers.write_keras_sequential(path, narrow)
    with h5py.File(path, "a") as file:
        file.attrs["backend"] = b"theano"
    assert refusal(path, narrow).startswith("was written by Keras on Theano")


def test_an_hdf5_array_of_absurd_size_is_refused_before_it_is_read(narrow, tmp_path):
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("conv1_1.weight", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))
    assert "of 1048576 x 1048576 values" in refusal(path, narrow)


def test_without_h5py_an_hdf5_file_says_what_to_install(narrow, tmp_path, monkeypatch):
    path = tmp_path / "weights.h5"
    weights_writers.write_keras_vggface(path, narrow)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "pip install h5py" in refusal(path, narrow)


def test_a_mat_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "data.mat"
    for content in ({"x": np.ones(3)}, {"layers": np.ones(3)}, {"net": np.ones(3)}):
        scipy.io.savemat(path, content)
        assert refusal(path).startswith("holds no MatConvNet network")


def test_values_that_are_not_numbers_are_refused(narrow, tmp_path):
    path = tmp_path / "nan.pth"
    bad = narrow["conv3_2.weight"].copy()
    bad[0, 0, 0, 0] = np.nan
    torch.save(weights_writers.tensors(narrow | {"conv3_2.weight": bad}), path)
    assert refusal(path, narrow).startswith("is damaged: conv3_2.weight has values that are not")


def test_an_unknown_architecture_is_refused():
    with pytest.raises(NotFound, match="'vgg_fce'; known: dlib_face, vgg_face, vgg16"):
        architecture("vgg_fce")


# Torch7 files that lie


def tensor_that_declares(sizes, strides, storage):
    t7 = T7()
    t7.torch("torch.FloatTensor")
    t7.int(len(sizes))
    t7.longs(*sizes, *strides, 1)
    t7.storage(np.zeros(storage, np.float32))
    return t7.bytes()


def nested(depth):
    return b"".join(struct.pack("<4i", 3, number, 1, 0) for number in range(1, depth))


def storage_that_declares(size):
    t7 = T7()
    t7.torch("torch.FloatStorage")
    t7.longs(size)
    return t7.bytes() + bytes(64)


LIES = {
    "huge storage": storage_that_declares(1 << 60),
    "negative storage": storage_that_declares(-5),
    "huge tensor": tensor_that_declares([1 << 40, 1 << 40], [0, 0], 4),
    "expanded tensor": tensor_that_declares([1 << 20], [0], 1),
    "stride past the end": tensor_that_declares([2, 2], [1 << 40, 1], 4),
    "negative size": tensor_that_declares([-2, 2], [2, 1], 4),
    "huge table": struct.pack("<3i", 3, 1, (1 << 31) - 1) + bytes(64),
    "negative table": struct.pack("<3i", 3, 1, -1) + bytes(64),
    "huge string": struct.pack("<3i", 4, 1, (1 << 31) - 1) + b"V 1",
    "many axes": struct.pack("<3i", 4, 1, 17) + b"torch.FloatTensor" + struct.pack("<i", 60),
    "unknown kind of object": struct.pack("<3i", 3, 1, 1) + struct.pack("<i", 77) + bytes(8),
    "very deep": nested(100_000),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_torch7_header_that_lies_costs_no_memory_and_no_stack(lie, narrow, tmp_path):
    path = tmp_path / "lie.t7"
    path.write_bytes(LIES[lie])
    tracemalloc.start()
    text = refusal(path, narrow)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "damaged" in text or "more than VGG-16's largest array" in text
    assert peak < 4 << 20


def test_torch7_objects_that_hold_themselves_end(narrow, tmp_path):
    t7 = T7()
    t7.module("nn.Sequential", {"self": lambda: t7.back(4, 1), "modules": lambda: t7.back(4, 1)})
    (tmp_path / "loop.t7").write_bytes(t7.bytes())
    assert refusal(tmp_path / "loop.t7", narrow).startswith("is a Torch7 file without a network")


def test_lua_functions_in_a_torch7_file_are_passed_over(narrow, tmp_path):
    weights_writers.write_torch7(tmp_path / "net.t7", narrow)
    network = (tmp_path / "net.t7").read_bytes()
    closure = struct.pack("<3i", 8, 900, 4) + b"code" + struct.pack("<3i", 3, 901, 0)
    plain = struct.pack("<2i", 6, 4) + b"code" + struct.pack("<i", 0)
    values = {b"f": closure, b"g": plain, b"n": network}
    items = [struct.pack("<2i", 2, 1) + key + value for key, value in values.items()]
    table = struct.pack("<3i", 3, 902, len(items)) + b"".join(items)
    (tmp_path / "table.t7").write_bytes(table)
    read = read_weights(tmp_path / "table.t7", declared(narrow))
    assert weights_sha256(read.state) == weights_sha256(narrow)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["torch7", "torch7_shared", "matconvnet", "matconvnet_old"])
def test_files_with_wrong_bytes_never_fail_in_another_way(layout, tmp_path):
    state = random_state(2, channels=(1, 1, 1, 1, 1), hidden=2)
    path = tmp_path / "net.t7"
    WRITERS[layout](path, state)
    original, rng = np.fromfile(path, np.uint8), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        content = original.copy()
        # Headers lie at the beginning, and errors there are the ones that matter.
        end = rng.choice([content.size, 1500])
        places = rng.integers(0, min(content.size, end), rng.integers(1, 6))
        content[places] = rng.integers(0, 256, places.size)
        path.write_bytes(content.tobytes())
        try:
            read_weights(path, declared(state))
        except BadInput:
            refused += 1
    assert refused > 100

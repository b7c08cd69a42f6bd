"""VGG weights in every public layout: the same network from all of them."""

import h5py
import numpy as np
import pytest
import scipy.io
import torch
import torchvision
from numpy.lib.stride_tricks import sliding_window_view
from support import weights_writers
from support.weights_writers import WRITERS, declared, from_weights, narrow_state, random_state

from fexp_store.mat5 import read_variables
from fexp_store.networks.architectures import vgg
from fexp_store.networks.initialise import weights_sha256
from fexp_store.networks.weights.by_content import read_weights

SEEN_LAYERS = ("relu1_1", "relu5_3", "relu6", "fc8")


@pytest.fixture(scope="module")
def narrow():
    """All 16 layers, with few channels, no two axes of one length where a mistake could hide."""
    return narrow_state()


@pytest.fixture(scope="module")
def convolutions():
    """The 13 convolutions of the real network."""
    return random_state(None)


@pytest.fixture(scope="module")
def image():
    return 60 * torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def activations(state, image):
    found, model = {}, from_weights(state)
    for path in SEEN_LAYERS:
        model.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, path=path: found.__setitem__(path, output)
        )
    with torch.no_grad():
        model(image)
    return found


# One network, every layout


@pytest.mark.slow
@pytest.mark.parametrize("layout", WRITERS)
def test_one_network_has_the_same_activations_from_every_layout(layout, narrow, image, tmp_path):
    # The name of the file says nothing.
    path = tmp_path / "weights.bin"
    WRITERS[layout](path, narrow)
    read = read_weights(path, declared(narrow)).state
    expected, found = activations(narrow, image), activations(read, image)
    for layer in SEEN_LAYERS:
        assert torch.allclose(found[layer], expected[layer], rtol=1e-5, atol=1e-5), layer
        assert expected[layer].std() > 0.1
    assert list(read) == list(narrow)


@pytest.mark.slow
@pytest.mark.parametrize("layout", WRITERS)
def test_a_file_of_convolutions_only_gives_the_real_networks_convolutions(
    layout, convolutions, tmp_path
):
    path = tmp_path / "weights"
    WRITERS[layout](path, convolutions)
    read = read_weights(path, vgg.parameters(2622)).state
    assert weights_sha256(read) == weights_sha256(convolutions)
    assert all(values.flags.writeable and values.flags.c_contiguous for values in read.values())


# Layouts by their own frameworks' arithmetic, so that no writer can share a reader's mistake


def convolve_channels_last(image, kernel, bias):
    """Return the activations of a padded 3 x 3 convolution: rows, columns, channels."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    patches = sliding_window_view(padded, (3, 3), axis=(0, 1))
    return np.einsum("yxckl,klco->yxo", patches, kernel) + bias.reshape(-1)


def first_activations(read, image):
    """Return conv1_1 before its ReLU for one RGB image of shape (3, rows, columns)."""
    model = from_weights(read)
    with torch.no_grad():
        return model.conv1_1(torch.from_numpy(image)[None])[0].numpy()


@pytest.fixture
def small_image():
    return np.random.default_rng(2).normal(0, 60, (3, 9, 8)).astype(np.float32)


@pytest.fixture
def pooled():
    """The activations of pool5 to one image in the narrow network."""
    return np.random.default_rng(3).random((11, 7, 7)).astype(np.float32)


def connected(read, pooled):
    model = from_weights(read)
    with torch.no_grad():
        return model.fc6(torch.from_numpy(pooled).reshape(1, -1))[0].numpy()


def test_matconvnet_filters_are_read_as_matconvnet_applies_them(
    narrow, small_image, pooled, tmp_path
):
    path = tmp_path / "vgg_face.mat"
    weights_writers.write_matconvnet(path, narrow)
    read = read_weights(path, declared(narrow)).state
    raw = scipy.io.loadmat(path)["net"][0, 0]["layers"][0]
    filters, biases = raw[0][0, 0]["weights"][0]
    rgb = small_image.transpose(1, 2, 0)
    expected = convolve_channels_last(rgb, filters, biases).transpose(2, 0, 1)
    assert np.allclose(first_activations(read, small_image), expected, rtol=1e-4, atol=1e-3)
    [fc6] = [layer[0, 0] for layer in raw if layer[0, 0]["name"][0] == "fc6"]
    filters, biases = fc6["weights"][0]
    assert filters.shape == (7, 7, 11, 13)
    expected = np.einsum("yxc,yxco->o", pooled.transpose(1, 2, 0), filters) + biases[:, 0]
    assert np.allclose(connected(read, pooled), expected, rtol=1e-4, atol=1e-4)


def test_keras_vggface_kernels_are_read_as_keras_applies_them(
    narrow, small_image, pooled, tmp_path
):
    path = tmp_path / "rcmalli_vggface_tf_vgg16.h5"
    weights_writers.write_keras_vggface(path, narrow)
    read = read_weights(path, declared(narrow)).state
    with h5py.File(path) as file:
        layers = file["model_weights"]
        kernel, bias = (layers[f"conv1_1/conv1_1/{kind}:0"][:] for kind in ("kernel", "bias"))
        dense, shift = (layers[f"fc6/fc6/{kind}:0"][:] for kind in ("kernel", "bias"))
    bgr = small_image[::-1].transpose(1, 2, 0)
    expected = convolve_channels_last(bgr, kernel, bias).transpose(2, 0, 1)
    assert np.allclose(first_activations(read, small_image), expected, rtol=1e-4, atol=1e-3)
    flattened = pooled.transpose(1, 2, 0).reshape(-1)
    assert np.allclose(connected(read, pooled), flattened @ dense + shift, rtol=1e-4, atol=1e-4)


def test_deepface_kernels_take_rgb_and_its_fc6_is_a_convolution(
    narrow, small_image, pooled, tmp_path
):
    path = tmp_path / "vgg_face_weights.h5"
    weights_writers.write_keras_sequential(path, narrow)
    read = read_weights(path, declared(narrow)).state
    with h5py.File(path) as file:
        kernel, bias = (file[f"conv2d_1/conv2d_1/{kind}:0"][:] for kind in ("kernel", "bias"))
        wide, shift = (file[f"conv2d_14/conv2d_14/{kind}:0"][:] for kind in ("kernel", "bias"))
    rgb = small_image.transpose(1, 2, 0)
    expected = convolve_channels_last(rgb, kernel, bias).transpose(2, 0, 1)
    assert np.allclose(first_activations(read, small_image), expected, rtol=1e-4, atol=1e-3)
    expected = np.einsum("yxc,yxco->o", pooled.transpose(1, 2, 0), wide) + shift
    assert np.allclose(connected(read, pooled), expected, rtol=1e-4, atol=1e-4)


def test_torch7_weights_multiply_unfolded_bgr_patches(small_image, narrow, tmp_path):
    path = tmp_path / "VGG_FACE.t7"
    rng = np.random.default_rng(4)
    flat = rng.normal(size=(6, 27)).astype(np.float32)
    state = narrow | {"conv1_1.weight": flat.reshape(6, 3, 3, 3)[:, ::-1].copy()}
    weights_writers.write_torch7(path, state)
    assert flat.tobytes() in path.read_bytes()
    read = read_weights(path, declared(narrow)).state
    bgr = torch.from_numpy(small_image[::-1].copy())[None]
    patches = torch.nn.functional.unfold(bgr, 3, padding=1)[0].numpy()
    expected = (flat @ patches + narrow["conv1_1.bias"][:, None]).reshape(6, 9, 8)
    assert np.allclose(first_activations(read, small_image), expected, rtol=1e-4, atol=1e-3)


def test_a_torchvision_checkpoint_is_read_as_vgg16(tmp_path):
    with torch.device("meta"):
        theirs = torchvision.models.vgg16(init_weights=False)
    state = {
        name: torch.zeros(1).expand(value.shape) for name, value in theirs.state_dict().items()
    }
    state = {name: value for name, value in state.items() if name.startswith("features")}
    torch.save({name: value.clone() for name, value in state.items()}, tmp_path / "vgg16.pth")
    read = read_weights(tmp_path / "vgg16.pth", vgg.parameters(1000)).state
    assert [values.shape for values in read.values()] == [value.shape for value in state.values()]


def test_half_precision_is_read_as_single(narrow, tmp_path):
    path = tmp_path / "half.pth"
    torch.save({name: torch.from_numpy(v).bfloat16() for name, v in narrow.items()}, path)
    read = read_weights(path, declared(narrow)).state
    assert all(values.dtype == np.float32 for values in read.values())
    assert np.allclose(read["fc7.weight"], narrow["fc7.weight"], rtol=1e-2)


def test_a_file_that_takes_bgr_is_turned_to_rgb_or_left_as_it_is(narrow, tmp_path):
    path = tmp_path / "VGG_FACE.t7"
    weights_writers.write_torch7(path, narrow)
    assert weights_sha256(read_weights(path, declared(narrow)).state) == weights_sha256(narrow)
    as_it_is = read_weights(path, declared(narrow), as_rgb=False).state
    assert weights_sha256(as_it_is) == weights_sha256(weights_writers.bgr(narrow))


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_variables_are_read_as_scipy_reads_them(compressed, tmp_path):
    path = tmp_path / "any.mat"
    numbers = {
        f"x{dtype}": np.random.default_rng(0).integers(0, 100, (2, 3, 4)).astype(dtype)
        for dtype in ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    }
    cells = np.empty((2, 2), dtype=object)
    cells[:] = [["a", np.arange(3.0)], ["", np.zeros((0, 3))]]
    more = {"s": {"name": "fc6", "n": 7.0}, "c": cells, "t": "text", "e": {}}
    scipy.io.savemat(path, numbers | more, do_compression=compressed)
    ours, theirs = read_variables(path, {*numbers, *more}), scipy.io.loadmat(path)
    for name in numbers:
        assert np.array_equal(ours[name], theirs[name])
    assert ours["t"] == theirs["t"][0] == "text"
    assert ours["s"]["name"] == theirs["s"]["name"][0, 0][0]
    assert ours["s"]["n"].tolist() == theirs["s"]["n"][0, 0].tolist()
    by_column = theirs["c"].reshape(-1, order="F")
    assert ours["c"][:2] == ["a", ""]
    assert np.array_equal(ours["c"][2], by_column[2])
    assert ours["c"][3].shape == by_column[3].shape
    assert set(read_variables(path, {"t"})) == {"t"}

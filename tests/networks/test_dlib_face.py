"""dlib's face network: the same numbers as dlib itself, and no harm from a bad file."""

from __future__ import annotations

import hashlib
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional

from fexp_store.errors import BadInput, NotFound
from fexp_store.networks.architectures.dlib_face import (
    LAYERS,
    PACKAGED_WEIGHTS_SHA256,
    PREPROCESSING,
    Affine,
    DlibFaceResNet,
    PaddedSum,
    packaged_weights,
    read_face_resnet,
)
from fexp_store.networks.forward import activations
from fexp_store.networks.initialise import initialise

DESCRIPTORS = json.loads((Path(__file__).parent / "data/dlib_face_descriptors.json").read_text())
FIRST_TENSOR = 0x155  # in the published file: where the text "con_4" ends
CHANNELS_AND_SIDES = {
    "conv1": (32, 72),
    "conv2": (32, 35),
    "conv3": (64, 17),
    "conv4": (128, 8),
    "conv5": (256, 4),
    "conv6": (256, 2),
}


def images() -> dict[str, NDArray[np.uint8]]:
    """RGB images of 150 x 150 by formula, the ones that the stored descriptors are of."""
    row, col = np.mgrid[0:150, 0:150]
    pattern = [(row * 3 + col * 5) % 256, (row * col) % 256, (row * row // 7 + col * 2) % 256]
    face = np.stack([row * 255 // 149, col * 255 // 149, (row + col) * 255 // 298], -1)
    for top, left, height, width, colour in (
        (78, 75, 66, 50, (205, 160, 130)),
        (62, 55, 6, 10, (40, 30, 30)),
        (62, 95, 6, 10, (40, 30, 30)),
        (112, 75, 7, 20, (150, 50, 60)),
        (86, 75, 12, 6, (185, 135, 110)),
    ):
        inside = ((row - top) * width) ** 2 + ((col - left) * height) ** 2 <= (height * width) ** 2
        face[inside] = colour
    black = np.zeros_like(face)
    made = {"pattern": np.stack(pattern, -1), "drawn face": face, "black": black}
    return {name: image.astype(np.uint8) for name, image in made.items()}


def network_input(image: NDArray[np.uint8]) -> torch.Tensor:
    pixels = PREPROCESSING.pixels(Image.fromarray(image))
    return PREPROCESSING.normalise(torch.from_numpy(pixels)[None])


@pytest.fixture(scope="module")
def published() -> bytes:
    return packaged_weights().read_bytes()


@pytest.fixture(scope="module")
def network() -> DlibFaceResNet:
    weights = read_face_resnet(packaged_weights())
    module = DlibFaceResNet().eval().requires_grad_(False)
    module.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    return module


@pytest.fixture(scope="module")
def drawn_face_activations(network: DlibFaceResNet) -> dict[str, torch.Tensor]:
    return activations(network, LAYERS, network_input(images()["drawn face"]))


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[bytes], str]:
    """Write a file, expect it to be refused in one line that names it, and return that line."""

    def refuse(content: bytes) -> str:
        path = tmp_path / "weights.dat"
        path.write_bytes(content)
        with pytest.raises(BadInput) as refusal:
            read_face_resnet(path)
        message = str(refusal.value)
        assert message.startswith(str(path))
        assert "\n" not in message
        return message.removeprefix(str(path))

    return refuse


@pytest.mark.parametrize("name", ["pattern", "drawn face", "black"])
def test_embedding_equals_dlib_itself(network: DlibFaceResNet, name: str) -> None:
    ours = network(network_input(images()[name]))[0].numpy()
    np.testing.assert_allclose(ours, DESCRIPTORS["descriptors"][name], rtol=0, atol=1e-5)


def test_an_image_has_the_same_embedding_alone_and_in_a_batch(network: DlibFaceResNet) -> None:
    batch = torch.cat([network_input(image) for image in images().values()])
    alone = torch.cat([network(image[None]) for image in batch])
    torch.testing.assert_close(network(batch), alone, rtol=0, atol=1e-5)


def test_layers_are_those_of_the_design_in_forward_order() -> None:
    blocks = (("conv2", 3), ("conv3", 4), ("conv4", 3), ("conv5", 3), ("conv6", 1))
    names = ["conv1", *(f"{stage}_{i + 1}" for stage, n in blocks for i in range(n))]
    pairs = [layer for name in names for layer in (f"{name}:pre", name)]
    assert list(LAYERS) == [*pairs, "embedding"]


def test_layers_have_the_shapes_that_dlib_gives_them(
    drawn_face_activations: dict[str, torch.Tensor],
) -> None:
    assert drawn_face_activations["embedding"].shape == (1, 128)
    for layer in LAYERS.keys() - {"embedding"}:
        channels, side = CHANNELS_AND_SIDES[layer[:5]]
        assert drawn_face_activations[layer].shape == (1, channels, side, side), layer


def test_a_layer_is_the_relu_of_its_pre(drawn_face_activations: dict[str, torch.Tensor]) -> None:
    for layer in LAYERS.keys() - {"embedding"}:
        if not layer.endswith(":pre"):
            before = drawn_face_activations[f"{layer}:pre"]
            assert (before < 0).any(), layer
            torch.testing.assert_close(drawn_face_activations[layer], before.relu(), rtol=0, atol=0)


def test_a_shortcut_is_2x2_means_and_reaches_only_the_first_channels(
    network: DlibFaceResNet, drawn_face_activations: dict[str, torch.Tensor]
) -> None:
    # conv3_1 has 64 channels and its input 32: the upper half is the convolutions' alone.
    x, block = drawn_face_activations["conv2_3"], network.get_submodule("conv3_1")
    own = functional.conv2d(x, block.conv_a.weight, block.conv_a.bias, stride=2)
    own = functional.relu(block.affine_a(own))
    own = functional.conv2d(own, block.conv_b.weight, block.conv_b.bias, padding=1)
    own = block.affine_b(own)
    expected = own.clone()
    expected[:, :32] += x[:, :, :34, :34].reshape(1, 32, 17, 2, 17, 2).mean((3, 5))
    torch.testing.assert_close(drawn_face_activations["conv3_1:pre"], expected, rtol=0, atol=1e-5)


def test_a_sum_of_unlike_shapes_is_that_of_arrays_grown_with_zeros() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=(2, 2, 5, 4))
    expected = np.zeros((2, 3, 5, 4))
    expected[:, :3, :4, :2] += x
    expected[:, :2, :5, :4] += y
    found = PaddedSum()(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    np.testing.assert_array_equal(found, expected)


def test_an_affine_is_batch_normalisation_with_its_statistics_folded_in() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, variance, scale, shift = torch.rand(4, 5, generator=generator) + 0.5
    x = torch.randn(2, 5, 3, 4, generator=generator)
    affine = Affine(5)
    weight = scale / torch.sqrt(variance)
    affine.load_state_dict({"weight": weight, "bias": shift - mean * weight})
    expected = functional.batch_norm(x, mean, variance, scale, shift, eps=0.0)
    torch.testing.assert_close(affine(x).detach(), expected)


def test_the_file_holds_exactly_the_parameters_of_the_module(published: bytes) -> None:
    weights = read_face_resnet(packaged_weights())
    wanted = {name: tuple(x.shape) for name, x in DlibFaceResNet().state_dict().items()}
    assert {name: values.shape for name, values in weights.items()} == wanted
    assert {str(values.dtype) for values in weights.values()} == {"float32"}
    # All but a few bytes of each layer's settings is weights, so none was left unread.
    assert 0 < len(published) - 4 * sum(values.size for values in weights.values()) < 10_000


def test_building_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    DlibFaceResNet()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_untrained_twin_tells_images_apart() -> None:
    twin = DlibFaceResNet().eval().requires_grad_(False)
    initialise(twin, "kaiming_normal", seed=1)
    batch = torch.cat([network_input(images()[name]) for name in ("pattern", "drawn face")])
    found = activations(twin, LAYERS, batch)
    for layer, values in found.items():
        assert values.isfinite().all(), layer
        assert not torch.allclose(values[0], values[1]), layer


def test_no_module_works_in_place(network: DlibFaceResNet) -> None:
    assert not any(getattr(module, "inplace", False) for module in network.modules())
    assert {type(network.get_submodule(LAYERS[x])) for x in ("conv1", "conv6_1")} == {nn.ReLU}


def test_packaged_weights_are_the_published_file(published: bytes) -> None:
    assert hashlib.sha256(published).hexdigest() == PACKAGED_WEIGHTS_SHA256
    assert "face_recognition_models" not in sys.modules


def test_missing_package_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(NotFound, match=r"pip install 'face-recognition-models==0\.3\.0'"):
        packaged_weights()


@pytest.mark.parametrize("length", [0, 1, 2, 0x0A, 0x40, 0x125, 0x150, 0x159, 0x200, 11_000_000])
def test_truncated_file_is_refused(
    published: bytes, refused: Callable[[bytes], str], length: int
) -> None:
    assert "ends before the network does" in refused(published[:length])


def test_every_truncation_of_the_end_is_refused(
    published: bytes, refused: Callable[[bytes], str]
) -> None:
    for missing in range(1, 72, 10):
        assert "ends before the network does" in refused(published[:-missing])


@pytest.mark.parametrize("tail", [b"\0", b"\x01\x01", b"PK\x03\x04" * 100])
def test_trailing_bytes_are_refused(
    published: bytes, refused: Callable[[bytes], str], tail: bytes
) -> None:
    assert "goes on after the network's end" in refused(published + tail)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"loss_metric_2", b"loss_metric_3"),
        (b"input_rgb_image_sized", b"input_rgb_image_piled"),
        (b"con_4", b"con_6"),
        (b"affine_", b"bn_con2"),
        (b"relu_", b"\xff\n\0u_"),
        (b"max_pool_2", b"max_pool_1"),
        (b"fc_2", b"fc_1"),
    ],
)
def test_other_layers_and_versions_are_refused(
    published: bytes, refused: Callable[[bytes], str], old: bytes, new: bytes
) -> None:
    assert f"instead of {old.decode()!r}" in refused(published.replace(old, new, 1))


@pytest.mark.parametrize(
    ("size", "found"),
    [
        (b"\x08" + b"\xff" * 8, "18446744073709551615"),
        (b"\x08" + b"\xff" * 7 + b"\x7f", "9223372036854775807"),
        (b"\x04\xff\xff\xff\x7f", "2147483647"),
        (b"\x82\x80\x12", "-4736"),
        (b"\x01\x00", "0"),
    ],
)
def test_absurd_tensor_size_is_refused_before_memory_is_taken(
    published: bytes, refused: Callable[[bytes], str], size: bytes, found: str
) -> None:
    # After the version, of two bytes, come the four sizes; the first is 0x1280.
    sizes = FIRST_TENSOR + 2
    assert published[sizes : sizes + 3] == b"\x02\x80\x12"
    content = published[:sizes] + size + published[sizes + 3 : sizes + 1000]
    tracemalloc.start()
    message = refused(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"of version and size 2, {found}, 1, 1, 1 instead of 2, 4736, 1, 1, 1" in message
    assert peak < 1_000_000


def test_absurd_length_of_a_name_is_refused(refused: Callable[[bytes], str]) -> None:
    message = refused(b"\x01\x01\x08" + b"\xff" * 8 + b"loss_metric_2")
    assert "length 18446744073709551615 instead of 13" in message


@pytest.mark.parametrize("control", [0x00, 0x09, 0x0F, 0x11, 0x80])
def test_malformed_integer_is_refused(
    published: bytes, refused: Callable[[bytes], str], control: int
) -> None:
    assert "a malformed integer before byte 1)" in refused(bytes([control]) + published[1:1000])


def test_infinite_number_is_refused(published: bytes, refused: Callable[[bytes], str]) -> None:
    # dlib writes infinity as an exponent of 32000.
    content = published[:1000].replace(b"\x03\x0a\xd7\xa3\x81\x1c", b"\x01\x01\x02\x00\x7d", 1)
    assert "out of range or not finite" in refused(content)


def test_malformed_flag_is_refused(published: bytes, refused: Callable[[bytes], str]) -> None:
    last_flags = published.rindex(b"110\x01\x02")
    content = published[:last_flags] + b"1?0" + published[last_flags + 3 :]
    assert "a malformed flag" in refused(content)


def test_weights_that_are_not_numbers_are_refused(
    published: bytes, refused: Callable[[bytes], str]
) -> None:
    content = bytearray(published)
    content[1000:1004] = np.float32(np.nan).tobytes()
    content[1004:1008] = np.float32(np.inf).tobytes()
    assert "weights of conv1.conv that are not all finite" in refused(bytes(content))


def test_another_input_size_or_mean_is_refused(
    published: bytes, refused: Callable[[bytes], str]
) -> None:
    sized = published.replace(b"\x01\x96\x01\x96\x01\x05con_4", b"\x01\x96\x01\x97\x01\x05con_4", 1)
    assert "images of size 150, 151 instead of 150, 150" in refused(sized)
    mean = published.replace(b"\x03\x62\x90\xf5\x81\x11", b"\x03\x62\x90\xf4\x81\x11", 1)
    assert "mean colour" in refused(mean)


def test_no_flipped_bit_before_the_weights_gets_past(
    published: bytes, refused: Callable[[bytes], str]
) -> None:
    # Cut after the head, every file must be refused; how is for the reader to say.
    head = published[: FIRST_TENSOR + 20]
    for position in range(len(head)):
        for bit in (0, 7):
            content = bytearray(head)
            content[position] ^= 1 << bit
            refused(bytes(content))


def test_a_flipped_bit_after_the_weights_is_refused_or_changes_no_weight(
    published: bytes, tmp_path: Path
) -> None:
    expected = read_face_resnet(packaged_weights())
    path = tmp_path / "weights.dat"
    rng = np.random.default_rng(0)
    outcomes = set()
    for position in rng.choice(np.arange(len(published) - 71, len(published)), 24, replace=False):
        content = bytearray(published)
        content[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            weights = read_face_resnet(path)
        except BadInput:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    assert "refused" in outcomes


def test_an_image_or_text_or_zeros_is_refused(
    refused: Callable[[bytes], str], tmp_path: Path
) -> None:
    Image.new("RGB", (150, 150)).save(tmp_path / "face.png")
    for content in ((tmp_path / "face.png").read_bytes(), b"weights\n" * 99, bytes(10_000)):
        assert "is not the network expected" in refused(content)


def test_no_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_face_resnet(tmp_path / "absent.dat")
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        read_face_resnet(tmp_path)

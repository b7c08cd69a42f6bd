"""Preprocessing beside torchvision's and timm's own transforms, and records of older warehouses."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import timm.data
import torch
import torchvision
from PIL import Image
from torchvision.transforms import functional as theirs

from fexp_store import Conflict, Warehouse
from fexp_store.errors import BadInput, Damaged
from fexp_store.networks import registry
from fexp_store.networks.architectures.dlib_face import PREPROCESSING
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.networks.records import Options
from fexp_store.warehouse.networks import registered

RNG = np.random.default_rng(20261128)
SIZES = [(562, 762), (681, 1024), (506, 650), (100, 70), (16, 40), (224, 224)]
SIZES += [(int(w), int(h)) for w, h in RNG.integers(60, 900, (20, 2))]

WEIGHTS = (
    "ResNet50_Weights.IMAGENET1K_V1",
    "ResNet50_Weights.IMAGENET1K_V2",
    "ConvNeXt_Tiny_Weights.DEFAULT",
    "ViT_B_16_Weights.DEFAULT",
    "EfficientNet_B0_Weights.DEFAULT",
    "Swin_T_Weights.DEFAULT",
    "MaxVit_T_Weights.DEFAULT",
)

OLD = (
    '{"interpolation": "bilinear", "mean": [122.782, 117.001, 104.298], "resize": 150, '
    '"size": 150, "std": [256.0, 256.0, 256.0]}'
)


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with noise on them, so that a shift of half a pixel is seen."""
    rng = np.random.default_rng([seed, width, height])
    coarse = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = smooth + rng.integers(-40, 41, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def assert_input_is(ours: Preprocessing, image: Image.Image, reference: torch.Tensor) -> None:
    mine = ours.normalise(torch.from_numpy(ours.pixels(image))[None])[0]
    assert mine.shape == reference.shape == ours.shape
    scale = float(reference.abs().max())
    torch.testing.assert_close(mine, reference, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("name", WEIGHTS)
def test_pixels_and_input_are_those_of_torchvisions_transforms(name: str) -> None:
    family, member = name.split(".")
    transforms = getattr(torchvision.models, family)[member].transforms()
    ours = Preprocessing.of_torchvision(transforms)
    assert ours.by == "torchvision"
    for width, height in SIZES:
        image = photograph(width, height)
        resized = theirs.resize(image, transforms.resize_size, transforms.interpolation)
        square = theirs.pil_to_tensor(theirs.center_crop(resized, transforms.crop_size))
        assert np.array_equal(ours.pixels(image), square.numpy()), (width, height)
        assert_input_is(ours, image, transforms(image))


def _kinds() -> dict[str, Image.Image]:
    image = photograph(300, 280)
    deep = np.random.default_rng(3).integers(0, 65536, (280, 300), dtype=np.uint16)
    return {
        "L": image.convert("L"),
        "1": image.convert("1"),
        "LA": image.convert("LA"),
        "P": image.quantize(64),
        "RGBA": Image.fromarray(np.dstack([np.asarray(image), np.asarray(image)[..., 0]])),
        "I;16": Image.fromarray(deep),
        "CMYK": image.convert("CMYK"),
    }


@pytest.mark.parametrize("mode", _kinds())
def test_images_of_other_kinds_become_rgb_by_pillow_first(mode: str) -> None:
    image = _kinds()[mode]
    assert image.mode == mode
    transforms = torchvision.models.ResNet50_Weights.IMAGENET1K_V2.transforms()
    ours = Preprocessing.of_torchvision(transforms)
    assert_input_is(ours, image, transforms(image.convert("RGB")))
    before = Preprocessing.from_json(OLD).pixels(image)
    assert np.array_equal(before, _as_it_was(image, 150, 150, Image.Resampling.BILINEAR))


TIMM = (
    {"crop_pct": 0.875, "interpolation": "bilinear"},
    {"crop_pct": 0.9, "interpolation": "bicubic"},
    {"crop_pct": 0.95, "interpolation": "bicubic", "input_size": (3, 288, 288)},
    {"crop_pct": 1.0, "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.5,) * 3},
    {"crop_pct": 1.0, "interpolation": "bicubic", "crop_mode": "squash"},
    {"crop_pct": 0.9, "interpolation": "lanczos", "crop_mode": "squash"},
    {"interpolation": "nearest"},
)


@pytest.mark.parametrize("fields", TIMM, ids=lambda fields: json.dumps(fields))
def test_input_is_that_of_timms_own_transform(fields: dict[str, Any]) -> None:
    imagenet = torchvision.models.ResNet50_Weights.IMAGENET1K_V2.transforms()
    config = {"input_size": (3, 224, 224), "mean": imagenet.mean, "std": imagenet.std} | fields
    transform = timm.data.create_transform(**config, is_training=False)
    ours = Preprocessing.of_timm(config)
    for width, height in SIZES[::3]:
        image = photograph(width, height)
        assert_input_is(ours, image, transform(image))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"crop_mode": "border"}, "a border"),
        ({"crop_border_pixels": 4}, "a border"),
        ({"input_size": (3, 224, 256)}, "3 x 224 x 256"),
        ({"input_size": (1, 224, 224)}, "1 x 224 x 224"),
        ({"interpolation": "random"}, "interpolation is one of"),
        ({"mean": None}, "cannot be declared"),
    ],
)
def test_a_config_of_timm_that_has_no_field_here_is_refused(
    fields: dict[str, Any], words: str
) -> None:
    config = {"input_size": (3, 224, 224), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    config |= {"crop_pct": 0.9, "interpolation": "bicubic"}
    assert Preprocessing.of_timm(config).resize == 248
    with pytest.raises(BadInput, match=words):
        Preprocessing.of_timm(config | fields)


def test_transforms_that_are_not_of_classification_are_refused() -> None:
    transforms = torchvision.models.segmentation.FCN_ResNet50_Weights.DEFAULT.transforms()
    with pytest.raises(BadInput, match="cannot be declared"):
        Preprocessing.of_torchvision(transforms)


def test_bgr_is_the_order_that_is_fed_and_the_mean_is_in_it() -> None:
    image = photograph(300, 260)
    rgb = Preprocessing(224, 256, (123.68, 116.779, 103.939), (1.0, 2.0, 3.0))
    bgr = rgb.changed({"channels": "BGR"})
    assert (bgr.mean, bgr.std) == ((103.939, 116.779, 123.68), (3.0, 2.0, 1.0))
    assert np.array_equal(bgr.pixels(image), rgb.pixels(image)[::-1])
    one, other = (p.normalise(torch.from_numpy(p.pixels(image))[None]) for p in (rgb, bgr))
    assert torch.equal(one.flip(1), other)
    given = rgb.changed({"channels": "BGR", "mean": [1, 2, 3]})
    assert (given.mean, given.std) == ((1, 2, 3), (3.0, 2.0, 1.0))
    assert bgr.changed({"channels": "RGB"}) == rgb
    assert bgr.changed({"size": 256}).channels == "BGR"


def test_grey_is_torchvisions_luma_in_one_channel_and_is_standardised() -> None:
    image = photograph(300, 260)
    ours = Preprocessing(64, 64, (0.0,), (1.0,), channels="grey", standardise=True)
    square = theirs.center_crop(theirs.resize(image, [64]), [64])
    grey = theirs.pil_to_tensor(theirs.rgb_to_grayscale(square)).numpy()
    pixels = ours.pixels(image)
    assert pixels.shape == ours.shape == (1, 64, 64)
    assert np.array_equal(pixels, grey)
    flat = np.full_like(pixels, 7)
    both = ours.normalise(torch.from_numpy(np.stack([pixels, flat]))).numpy()
    expected = (grey - grey.mean(dtype=np.float64)) / grey.std(dtype=np.float64)
    np.testing.assert_allclose(both[0], expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert not both[1].any()
    # A greyscale image is taken as it is.
    already = Image.fromarray(grey[0])
    assert np.array_equal(ours.pixels(already)[0], grey[0])


def test_squash_takes_the_whole_image() -> None:
    image = photograph(400, 200)
    ours = Preprocessing(96, 96, (0.0,) * 3, (1.0,) * 3, interpolation="lanczos", fit="squash")
    whole = np.asarray(image.resize((96, 96), Image.Resampling.LANCZOS))
    assert np.array_equal(ours.pixels(image), whole.transpose(2, 0, 1))


def _as_it_was(
    image: Image.Image, size: int, resize: int, filter_: Image.Resampling
) -> np.ndarray[Any, Any]:
    """What was stored before torchvision resized, written down apart from the store."""
    image = image.convert("RGB")
    width, height = image.size
    if min(width, height) != resize:
        ratio = resize / min(width, height)
        rounded = round(width * resize / min(width, height)), round(height * ratio)
        image = image.resize((max(size, rounded[0]), max(size, rounded[1])), filter_)
    left, top = (image.size[0] - size) // 2, (image.size[1] - size) // 2
    return np.asarray(image)[top : top + size, left : left + size].transpose(2, 0, 1)


def test_a_record_of_an_older_warehouse_keeps_its_text_and_its_geometry() -> None:
    text = OLD.replace('"resize": 150, "size": 150', '"resize": 256, "size": 224')
    old = Preprocessing.from_json(text)
    assert old.to_json() == text
    new = Preprocessing(224, 256, old.mean, old.std)
    assert json.loads(new.to_json())["by"] == "torchvision"
    assert Preprocessing.from_json(new.to_json()) == new
    differ = 0
    for width, height in SIZES:
        image = photograph(width, height)
        was = _as_it_was(image, 224, 256, Image.Resampling.BILINEAR)
        assert np.array_equal(old.pixels(image), was), (width, height)
        differ += not np.array_equal(old.pixels(image), new.pixels(image))
    assert differ > 3  # which is why the record says who resizes


@pytest.mark.parametrize(
    "record",
    [
        '{"by": null, "channels": "BGR"',
        '{"fit": "squash"',
        '{"by": "opencv"',
        '{"by": "torchvision", "standardise": 1',
        '{"by": "torchvision", "channels": "grey"',
        '{"by": "torchvision", "more": 1',
    ],
)
def test_a_stored_record_that_cannot_be_is_damaged(record: str) -> None:
    with pytest.raises(Damaged, match="restore the table networks"):
        Preprocessing.from_json(f"{record}, {OLD[1:]}")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channels": "GBR"}, "channels is one of RGB, BGR, grey"),
        ({"channels": "grey"}, "one number"),
        ({"channels": ["RGB"]}, "channels is one of"),
        ({"fit": "longer"}, "fit is one of shorter, squash"),
        ({"standardise": "yes"}, "standardise is true or false"),
        ({"by": "pillow"}, "by is torchvision"),
        ({"by": None}, "by is torchvision"),
        ({"interpolation": {}}, "interpolation is one of"),
    ],
)
def test_bad_values_are_refused_in_a_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        PREPROCESSING.changed(fields)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_a_network_of_an_older_warehouse_is_registered_again_as_what_it_is(
    empty: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = Options(architecture="dlib_face", untrained=True)
    with monkeypatch.context() as then:
        then.setattr(Preprocessing, "to_json", lambda self: OLD)
        assert registry.add(empty, "older", how)
    assert registered(empty, "older").preprocessing == OLD
    assert not registry.add(empty, "older", how)
    assert registry.load(empty, registered(empty, "older")).preprocessing.by is None
    with pytest.raises(Conflict, match="preprocessing"):
        registry.add(empty, "older", Options(**_fields(how), preprocessing={"channels": "BGR"}))
    assert registry.add(empty, "newer", how)
    assert registry.load(empty, registered(empty, "newer")).preprocessing == PREPROCESSING


def _fields(how: Options) -> dict[str, Any]:
    return {"architecture": how.architecture, "untrained": how.untrained}


def test_a_jpeg_is_resized_from_what_pillow_decodes() -> None:
    buffer = io.BytesIO()
    photograph(762, 562).save(buffer, "jpeg", quality=92)
    transforms = torchvision.models.VGG16_Weights.DEFAULT.transforms()
    with Image.open(buffer) as image:
        image.load()
        assert_input_is(Preprocessing.of_torchvision(transforms), image, transforms(image))

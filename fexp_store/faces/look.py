"""How faces are photographed: size, colour, mask, and what differs between images."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from fexp_store.options import Seed, record

Size = Annotated[int, Meta(ge=16, le=2048, description="Width and height in pixels.")]
Greyscale = Annotated[bool, Meta(description="Without colour.")]
OvalMask = Annotated[bool, Meta(description="Black outside an oval, as in the study.")]
_TURNS = "Turns of head, light and gaze: 0 for none, 1 for about 6 degrees."
Jitter = Annotated[float, Meta(ge=0, le=3, description=_TURNS)]


@record
class Look:
    """How faces are photographed.

    Attributes
    ----------
    size : int
        Width and height, pixels; 224 is what VGG networks take.
    greyscale : bool
        Luma (ITU-R BT.601) in all three channels, as in the study.
    oval_mask : bool
        Black outside a soft-edged oval, and behind the head, as in the study.
    jitter : float
        0 is a frontal face in fixed light. 1 turns the head by about 6 degrees, the light by about
        15 and the gaze by about 6 (standard deviations), drawn anew for each image.
    seed : int
        Of the jitter, which depends on this, the person and the expression only: rendering in
        another order gives the same images.
    background : int
        Grey behind the head.
    oversampling : int
        Each pixel averages this many samples squared.
    """

    size: Size = 224
    greyscale: Greyscale = False
    oval_mask: OvalMask = False
    jitter: Jitter = 0.0
    seed: Seed = 0
    background: Annotated[int, Meta(ge=0, le=255)] = 118
    oversampling: Annotated[int, Meta(ge=1, le=6)] = 3

"""What a made set depends on besides its options: the set that it is made of, and landmarks."""

from __future__ import annotations

from fexp_store.stimuli.landmarks.files import content_sha256
from fexp_store.stimuli.recipe import Morphing, Preparation
from fexp_store.stimuli.sets import stored_set
from fexp_store.warehouse import Warehouse


def facts_of(wh: Warehouse, recipe: Morphing | Preparation) -> dict[str, str]:
    """Return the id of the set, if it is registered, and the hash of landmarks that are given."""
    facts = {}
    if stored := stored_set(wh, recipe.of):
        facts["of_sha256"] = stored["set_sha256"]
    if recipe.landmarks is not None:
        facts["landmarks"] = content_sha256(recipe.landmarks)
    return facts

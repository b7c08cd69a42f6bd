"""What may be done with images and weights; unknown, so not shareable, where nothing is said."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from fexp_store.options import record


@record
class Rights:
    """Licence and citation of a set or a network."""

    licence: Annotated[
        str | None,
        Meta(description="Licence, such as CC-BY-4.0; unknown counts as not shareable."),
    ] = None
    citation: Annotated[str | None, Meta(description="What to cite, as text, DOI or BibTeX.")] = (
        None
    )


UNKNOWN = Rights()

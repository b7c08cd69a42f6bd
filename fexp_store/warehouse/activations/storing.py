"""How activations are stored, wherever they come from."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from fexp_store.options import KeptBits, Memory, record


@record
class Storing:
    """How activations are stored; keep_bits is part of what a fragment is."""

    memory: Memory = 1024.0
    keep_bits: Annotated[
        KeptBits | None, Meta(description="Keep this many mantissa bits; all 23 by default.")
    ] = None
    allow_nonfinite: Annotated[
        bool,
        Meta(description="Store activations that are not finite; analyses leave their units out."),
    ] = False

    @property
    def memory_bytes(self) -> int:
        """Bytes that buffers of activations may have."""
        return max(1, round(self.memory * (1 << 20)))

"""Where activations belong: one layer of one network, for one stimulus set."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote


class Place(NamedTuple):
    """One layer of one network, for one stimulus set."""

    network: str
    layer: str
    stimulus_set: str

    def __str__(self) -> str:
        return f"{self.network} {self.layer} on {self.stimulus_set}"

    @property
    def columns(self) -> dict[str, str]:
        """The three names by column, as tables and queries have them."""
        return self._asdict()

    @property
    def as_arguments(self) -> str:
        """The three names as commands take them."""
        return f"--network {self.network} --layer {self.layer} --stimuli {self.stimulus_set}"

    @property
    def path(self) -> str:
        """Directory relative to the table, with each value percent-encoded."""
        return "/".join(f"{key}={quote(value, safe='')}" for key, value in self.columns.items())

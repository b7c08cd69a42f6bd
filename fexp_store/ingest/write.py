"""Writing pieces of activations: one file for each, one commit for those that are full at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fexp_store.ingest.plan import Piece
from fexp_store.ingest.request import Prepared
from fexp_store.warehouse import runs
from fexp_store.warehouse.activations.commit import commit, discard
from fexp_store.warehouse.activations.fragment import Fragment, Portion
from fexp_store.warehouse.activations.write import Source, write_portion
from fexp_store.warehouse.runs import Run
from fexp_store.warehouse.storage import Storage


@dataclass
class Writer:
    """Stores pieces of one ingest and records its run before the first of them.

    Parameters
    ----------
    storage : Storage
    prepared : Prepared
    run : Run
    """

    storage: Storage
    prepared: Prepared
    run: Run
    _recorded: bool = field(default=False, init=False)

    def store(self, sources: Mapping[Piece, Source]) -> list[Fragment]:
        """Write and commit pieces.

        Returns
        -------
        list of Fragment
            Those committed; empty where another process was first. On failure no file of the
            pieces is left, and nothing of them is visible.

        Raises
        ------
        BadInput
            If an activation is not finite, unless the options allow it.
        """
        with self.storage.writing():
            return self._store(sources)

    def _store(self, sources: Mapping[Piece, Source]) -> list[Fragment]:
        allow = self.prepared.options.allow_nonfinite
        written: list[Fragment] = []
        try:
            for piece, source in sources.items():
                portion = self._portion(piece)
                fragment = write_portion(self.storage, portion, source, allow_nonfinite=allow)
                written.append(fragment)
            if not self._recorded:
                runs.record_start(self.storage, self.run)
                self._recorded = True
            return commit(self.storage, written)
        except BaseException:
            discard(self.storage, [fragment.path for fragment in written])
            raise

    def _portion(self, piece: Piece) -> Portion:
        prepared = self.prepared
        return Portion(
            fragment_id=prepared.fragment_id(piece),
            network=prepared.network.network,
            layer=piece.layer.name,
            stimulus_set=prepared.stimulus_set,
            unit_start=0,
            unit_stop=piece.layer.units,
            stimulus_start=piece.start,
            stimulus_stop=piece.stop,
            keep_bits=prepared.options.keep_bits,
            precision=prepared.options.precision,
            run_id=self.run.run_id,
        )

"""Cells that come in any order are put in their places of a matrix, each exactly once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scatter:
    """A matrix that is filled cell by cell.

    Parameters
    ----------
    out : ndarray of shape (n_rows, n_columns)
        Filled in place.
    """

    def __init__(self, out: NDArray[Any]) -> None:
        self._out = out
        self._seen = np.zeros(out.shape, dtype=bool)
        self._count = 0

    def put(self, where: Any, values: Any) -> None:
        """Fill cells; `where` indexes rows and columns as numpy does, `values` have that shape."""
        self._out[where] = values
        self._seen[where] = True
        self._count += np.size(values)

    def fault(self) -> tuple[int, int] | None:
        """Return a cell that did not come, or came again; None if each came exactly once.

        Of a cell that came again nothing more is known than that there is one: it is (-1, -1).
        """
        # As many as there are places, and no place empty: then none came twice.
        if not self._seen.all():
            row, column = np.argwhere(~self._seen)[0]
            return int(row), int(column)
        return None if self._count == self._out.size else (-1, -1)

"""What a candidate reaches: the rows that it would cover better than they are, and how well.

N = rows, X = rows that one candidate reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Reach:
    """Of one candidate; rows that it does not reach add nothing to its gain, now or later.

    Attributes:
        rows: (X,), int32.
        kernel: of the candidate with each, (X,).
    """

    rows: NDArray[np.int32]
    kernel: NDArray[np.floating[Any]]

    def gain_and_total(
        self, weights_N: NDArray[np.float64], covered_N: NDArray[np.float64]
    ) -> tuple[float, float]:
        """Weighted sums of what the kernel lies above the coverage, and of the kernel."""
        above_X = np.maximum(self.kernel - covered_N[self.rows], 0)
        weights_X = weights_N[self.rows]
        return float(weights_X @ above_X), float(weights_X @ self.kernel)

    def left(self, covered_N: NDArray[np.float64], slack: float) -> Reach:
        """The rows that are still reached, the kernel times `slack` being above their coverage."""
        still_X = self.kernel * slack >= covered_N[self.rows]
        if 4 * np.count_nonzero(still_X) > 3 * len(still_X):  # a copy would save too little
            return self
        return Reach(self.rows[still_X], self.kernel[still_X])

    @property
    def nbytes(self) -> int:
        """That it takes."""
        return self.rows.nbytes + self.kernel.nbytes


class Reaches:
    """What candidates reach, by row, within a limit of bytes; the longest unasked for go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._held: dict[int, Reach] = {}

    def get(self, row: int) -> Reach | None:
        """What a row reaches, if it is held."""
        return self._held.get(row)

    def hold(self, row: int, reach: Reach) -> None:
        """Hold what a row reaches, in place of what was held of it."""
        if (before := self._held.pop(row, None)) is not None:
            self._bytes -= before.nbytes
        self._held[row] = reach
        self._bytes += reach.nbytes
        while self._bytes > self._limit:
            oldest = next(iter(self._held))
            self._bytes -= self._held.pop(oldest).nbytes

    def clear(self) -> None:
        """Hold nothing."""
        self._held.clear()
        self._bytes = 0

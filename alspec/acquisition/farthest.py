"""Farthest-first search: only rows that old bounds cannot rule out are compared with new centres.

N = candidates, D = feature channels, R = rows looked at together, C = centres, in order: the
labelled set, then what was chosen. Distances are squared.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from alspec.acquisition.distances import CENTRES, Distances, Points, Rows, Squared
from alspec.acquisition.runs import Runs

SHORTLIST = 512
"""Rows that are compared with each new centre as it comes."""

FIRST = 1024
"""Rows that are compared together with the labelled set: a large matrix product is a fast one."""

SETTLED = 64
"""Rows whose distances are settled together, the farthest first; they are likely chosen next."""

ALIKE = 32
"""Number of rows that float32 cannot separate above which float64 pays off."""


def farthest_first(features_ND: Tensor, centres_MD: Tensor, n: int) -> Rows:
    """The n rows of `acquisition.coreset.k_center`, whose arguments these are, checked."""
    return _Search(features_ND, centres_MD, n).rows() if n else np.empty(0, dtype=np.int64)


class _Search:
    """Greedy k-center, the best bounds first.

    A distance to the nearest centre only shrinks as centres are added, so an old upper bound stays
    one. Only the rows of the largest upper bounds are brought up to date; a row whose bound lies
    below the best distance found waits until that best has fallen to it.
    """

    def __init__(self, features_ND: Tensor, centres_MD: Tensor, n: int) -> None:
        rows = len(features_ND)
        self._n = n
        self._chosen: list[int] = []
        # Bounds of the distance to the nearest of the first `seen` centres.
        self._upper_N = np.full(rows, np.inf)
        self._lower_N = np.full(rows, np.inf)
        self._seen_N = np.zeros(rows, dtype=np.int64)
        self._distances = Distances(features_ND, centres_MD, n)
        self._centres_MD = centres_MD
        self._labelled = len(centres_MD)
        self._runs = Runs(features_ND)

    def rows(self) -> Rows:
        """The n rows in order of choice; of equally distant rows the lowest."""
        if self._labelled:
            self._look_at_runs()
        else:
            self._choose(0, self._distances.points(np.zeros(1, dtype=np.int64)), 0)
        while len(self._chosen) < self._n:
            if self._upper_N.max() == 0:  # every row that is left equals a centre
                left = np.flatnonzero(self._upper_N == 0)
                self._chosen += left[: self._n - len(self._chosen)].tolist()
            else:
                self._advance()
        return np.array(self._chosen, dtype=np.int64)

    def _advance(self) -> None:
        """Bring a shortlist up to date and choose from it while no row outside can be farther."""
        rows_R, outside = _shortlist(self._upper_N, SHORTLIST)
        new_N = self._seen_N < self._labelled
        if new_N[rows_R].any():
            # These have the most centres to see, so they are taken many at a time.
            rows_R, outside = _shortlist(np.where(new_N, self._upper_N, -np.inf), FIRST)
            self._look(rows_R, self._distances.points(rows_R), outside)
            return
        points = self._distances.points(rows_R)
        looked = self._look(rows_R, points, outside)
        near = np.flatnonzero(self._upper_N[rows_R] >= outside)
        rows_R, points = rows_R[near], points.only(near)
        upper_RR, lower_RR = self._distances.among(points)
        chosen_before = len(self._chosen)
        while len(rows_R) and len(self._chosen) < self._n:
            best = self._lower_N[rows_R].max()
            if best <= outside:
                break
            upper_R = self._upper_N[rows_R]
            farthest = np.flatnonzero(upper_R >= best)
            if len(farthest) > 1 and not self._settled(rows_R[farthest]):
                if len(farthest) > ALIKE and not self._distances.finest:
                    self._sharpen()
                    return
                several = max(SETTLED, len(farthest))
                self._settle(rows_R[np.argsort(-upper_R)[:several]])
                continue
            at = int(farthest[0])
            self._choose(int(rows_R[at]), points, at)
            # The row itself stays chosen, below all bounds.
            self._upper_N[rows_R] = np.minimum(self._upper_N[rows_R], upper_RR[at])
            self._lower_N[rows_R] = np.minimum(self._lower_N[rows_R], lower_RR[at])
            self._seen_N[rows_R] = self._distances.count
        if not looked and len(self._chosen) == chosen_before:
            if self._distances.finest:
                self._choose_among_equals(float(self._lower_N[rows_R].max()))
            else:
                self._sharpen()

    def _look_at_runs(self) -> None:
        """Compare the first rows of runs with the labelled set, which bounds the other rows."""
        first = self._runs.first
        nearest_F = np.empty(len(first), dtype=np.int64)
        for start in range(0, len(first), FIRST):
            part = slice(start, start + FIRST)
            nearest_F[part] = self._distances.likely(self._distances.points(first[part]))
        if len(first):
            bounds_N = self._runs.bounds(self._centres_MD, nearest_F)
            self._upper_N = np.minimum(self._upper_N, bounds_N)

    def _look(self, rows_R: Rows, points: Points, outside: float) -> bool:
        """Compare rows with the centres they have not seen, unless they fall below `outside`."""
        looked = False
        while True:
            seen_R = self._seen_N[rows_R]
            due_R = (seen_R < self._distances.count) & (self._upper_N[rows_R] >= outside)
            if not due_R.any():
                return looked
            looked = True
            start = int(seen_R[due_R].min())
            stop = min(start + CENTRES, self._distances.count)
            due = np.flatnonzero(due_R & (seen_R < stop))
            self._lower(rows_R[due], points.only(due), start, stop)

    def _lower(self, rows_R: Rows, points: Points, start: int, stop: int) -> None:
        """Lower the bounds of rows for the centres from start to stop."""
        upper_R, lower_R = self._distances.bounds(points, start, stop)
        self._upper_N[rows_R] = np.minimum(self._upper_N[rows_R], upper_R)
        self._lower_N[rows_R] = np.minimum(self._lower_N[rows_R], lower_R)
        self._seen_N[rows_R] = stop

    def _choose(self, row: int, points: Points, at: int) -> None:
        """Choose a row, which is number `at` of the points."""
        self._chosen.append(row)
        self._distances.add_centre(row, points, at)
        run, bounds = self._runs.beside(row)
        self._upper_N[run] = np.minimum(self._upper_N[run], bounds)
        self._upper_N[row] = self._lower_N[row] = -np.inf

    def _sharpen(self) -> None:
        """Compare rows that float32 cannot separate again in float64."""
        self._distances = self._distances.in_float64()
        left_N = self._upper_N >= 0
        self._lower_N[left_N] = np.inf
        self._seen_N[left_N] = 0

    def _choose_among_equals(self, best: float) -> None:
        """Choose where more rows than a shortlist holds may be the farthest."""
        rows_R = np.flatnonzero(self._upper_N >= best)
        for start in range(0, len(rows_R), SHORTLIST):
            part_R = rows_R[start : start + SHORTLIST]
            self._look(part_R, self._distances.points(part_R), -np.inf)
        self._settle(rows_R)
        row = int(rows_R[np.argmax(self._upper_N[rows_R])])
        self._choose(row, self._distances.points(np.array([row])), 0)

    def _settled(self, rows_R: Rows) -> bool:
        return bool((self._upper_N[rows_R] == self._lower_N[rows_R]).all())

    def _settle(self, rows_R: Rows) -> None:
        """Put the distance itself in the place of both bounds, of rows that have seen all."""
        rows_R = rows_R[self._upper_N[rows_R] != self._lower_N[rows_R]]
        for start in range(0, len(rows_R), SETTLED):
            part_R = rows_R[start : start + SETTLED]
            self._upper_N[part_R] = self._lower_N[part_R] = self._distances.nearest(part_R)


def _shortlist(upper_N: Squared, count: int) -> tuple[Rows, float]:
    """The rows of the largest upper bounds, ascending, and the largest bound of the others."""
    rows_R = np.flatnonzero(upper_N >= 0)
    if len(rows_R) <= count:
        return rows_R, -np.inf
    ranked_N = np.argpartition(upper_N, -count - 1)
    return np.sort(ranked_N[-count:]), float(upper_N[ranked_N[-count - 1]])

"""Exact greedy coverage: a lazy search by float32 products, decided in float64 where it is close.

N = candidates, which are also what is to be covered, D = feature channels, M = labelled images,
U, X = rows taken together as candidates and as what they cover.

A candidate's gain, sum over x of w(x) max(k(x, u) - m(x), 0), only shrinks as the coverage m grows
(it is submodular), so an old gain bounds it from above, and only candidates of the largest bounds
are looked at again (Minoux, 1978). The first look at a candidate multiplies it with all rows, and
keeps those that it reaches: would cover better. Those only become fewer, so a later look takes no
product at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alspec.acquisition.kernel import DirectionKernel
from alspec.acquisition.reach import Reach, Reaches

Rows = NDArray[np.int64]
Gains = NDArray[np.float64]

LOOKED_AT = 64
"""Candidates that are looked at again together at first; doubled while the best is not found."""

MULTIPLIED = 256
"""Candidates that are multiplied with all rows together, where enough are left."""

REACHED = 1 << 20
"""Rows that candidates which are multiplied together are expected to reach in all."""

GUESSED = 8
"""First picks that are guessed, so that one pass over all pairs gives the gains after each."""

SAMPLE = 512
"""Rows that represent all of them in a first guess."""

SHORTLIST = 64
"""Candidates for each guessed pick."""

HELD = 0.4
"""Bytes of what candidates reach that are held, as a share of the features' own."""

TIE = 1e-9
"""Gains that differ by less than this share are equal: float64 sums of equal rows may differ."""

NO_GAIN = 1e-12
"""Mean gains below this are nothing: what is left lies on what is covered."""


class CoverageSearch:
    """Greedy picks for one kernel and one labelled set; `rows` gives them."""

    def __init__(
        self, features_ND: Tensor, labelled_MD: Tensor, bandwidth: float, weights_N: Tensor
    ) -> None:
        wide = features_ND.dtype == torch.float64
        kernel = DirectionKernel(features_ND, bandwidth, torch.float64 if wide else torch.float32)
        exact = DirectionKernel(features_ND, bandwidth, torch.float64)
        self._exact, self._kernel = exact, exact if kernel.error > 0.01 else kernel
        self._weights_N = weights_N.to(features_ND.device, torch.float64)
        self._light_N = self._weights_N.to(self._kernel.dtype)
        self._nothing = NO_GAIN * float(self._weights_N.sum())
        self._covered_N = exact.nearest(labelled_MD)
        self._picks = 0
        count = len(features_ND)
        self._reaches = Reaches(int(HELD * features_ND.numel() * features_ND.element_size()))
        # Gains as of `seen` picks, wrong by `error` at most, of rows that are still open.
        self._gain_N, self._error_N = np.zeros(count), np.zeros(count)
        self._seen_N = np.zeros(count, dtype=np.int64)
        self._new_N = np.ones(count, dtype=bool)  # never multiplied with all rows
        self._open_N = np.ones(count, dtype=bool)

    def rows(self, n: int) -> Rows:
        """The first n rows, in order of choice."""
        chosen = self._first(min(GUESSED, n)) if n else []
        while len(chosen) < n:
            chosen.append(self._next())
        return np.array(chosen, dtype=np.int64)

    def _first(self, n: int) -> list[int]:
        """The first picks, as many as were guessed right and one more; gains of all rows are set.

        A greedy search among few candidates guesses the picks; one pass over all pairs gives every
        candidate's gain after each of them, and so says which were right.
        """
        guessed, coverages = self._guess(n)
        gains = self._all_gains(coverages)
        chosen: list[int] = []
        for guess, gain_N in zip([*guessed, -1], gains, strict=True):
            self._set_gains(gain_N)
            if guess < 0:
                break
            chosen.append(self._next())
            if chosen[-1] != guess:
                break
        return chosen

    def _set_gains(self, gain_N: Gains) -> None:
        self._gain_N = gain_N
        self._error_N = self._kernel.error * (gain_N + float(self._weights_N @ self._covered_N))
        self._seen_N[:] = self._picks

    def _guess(self, n: int) -> tuple[list[int], list[Tensor]]:
        """Likely first picks, and the coverage before each and after the last."""
        start = self._covered_N.clone()
        self._open_N[:] = False
        self._open_N[self._shortlist(n)] = True
        n = min(n, int(self._open_N.sum()))
        likely = np.flatnonzero(self._open_N)
        self._gain_N[likely] = self._kernel.gains(likely, self._covered_N, self._light_N)
        guessed, coverages = [], [start]
        for _ in range(n):
            guessed.append(self._next())
            coverages.append(self._covered_N.clone())
        self._covered_N, self._picks = start.clone(), 0
        self._reaches.clear()  # of more coverage than there is again
        self._new_N[:] = True
        self._open_N[:] = True
        return guessed, coverages

    def _shortlist(self, n: int) -> Rows:
        """Candidates that do well on a sample of the rows, for each of n picks."""
        count = len(self._gain_N)
        step = max(1, count // SAMPLE)
        covered_S, weights_S = self._covered_N[::step], self._light_N[::step]
        kernel_SN = self._kernel.of_sample(step)
        covered_S = covered_S.to(kernel_SN.dtype)
        found: set[int] = set()
        for _ in range(n):
            gain_N = weights_S @ kernel_SN.clamp_min_(covered_S[:, None])
            best = gain_N.topk(min(SHORTLIST, count)).indices
            found.update(best.tolist())
            covered_S = kernel_SN[:, best[0]].clone()
        return np.array(sorted(found), dtype=np.int64)

    def _all_gains(self, coverages: Sequence[Tensor]) -> list[Gains]:
        """Gains of all rows at several growing coverages; each pair is multiplied once."""
        kernel = self._kernel
        levels = [covered_N.to(kernel.dtype) for covered_N in coverages]
        sums = torch.zeros((len(levels), len(self._gain_N)), dtype=torch.float64)
        sums = sums.to(self._weights_N.device)
        for rows, columns, kernel_XU in kernel.pairs():
            mirrored = None if rows == columns else kernel_XU.clone()
            for level, covered_N in enumerate(levels):
                kernel_XU.clamp_min_(covered_N[rows, None])
                sums[level, columns] += self._light_N[rows] @ kernel_XU
                if mirrored is not None:
                    mirrored.clamp_min_(covered_N[columns])
                    sums[level, rows] += mirrored @ self._light_N[columns]
        for level, covered_N in enumerate(levels):
            sums[level] -= self._weights_N @ covered_N.double()
        return list(sums.clamp_min_(0).cpu().numpy())

    def _next(self) -> int:
        row = self._best()
        self._open_N[row] = False
        self._cover(row)
        return row

    def _best(self) -> int:
        """The open row of the largest gain, the lowest of equal ones."""
        looked_at, picks = LOOKED_AT, self._picks
        while True:
            upper_N = np.where(self._open_N, self._gain_N + self._error_N, -np.inf)
            if upper_N.max() <= self._nothing:
                return int(np.argmax(self._open_N))
            fresh_N = self._open_N & (self._seen_N == picks)
            lower = np.where(fresh_N, self._gain_N - self._error_N, -np.inf).max() * (1 - TIE)
            due = np.flatnonzero(~fresh_N & (upper_N >= lower))
            if not len(due):
                return self._best_exactly(np.flatnonzero(upper_N >= lower), upper_N)
            if len(due) > looked_at:
                due = due[np.argpartition(-upper_N[due], looked_at - 1)[:looked_at]]
            self._look_again(self._with_company(due, upper_N))
            looked_at *= 2

    def _with_company(self, due: Rows, upper_N: Gains) -> Rows:
        """Rows to look at, and where a product must be made for some, those that come next."""
        new = int(self._new_N[due].sum())
        together = self._together()
        if not 0 < new < together:
            return due
        others_N = self._new_N & self._open_N
        others_N[due] = False
        others = np.flatnonzero(others_N)
        room = together - new
        if len(others) > room:
            others = others[np.argpartition(-upper_N[others], room - 1)[:room]]
        return np.concatenate([due, others])

    def _best_exactly(self, rows_U: Rows, upper_N: Gains) -> int:
        """Of rows that bounds cannot separate, the one with the largest float64 gain."""
        if len(rows_U) == 1:
            return int(rows_U[0])
        rows_U = rows_U[np.argsort(-upper_N[rows_U], kind="stable")]
        gains_U = np.full(len(rows_U), -np.inf)
        for start in range(0, len(rows_U), LOOKED_AT):
            if upper_N[rows_U[start]] < gains_U.max() * (1 - TIE):
                break
            part = slice(start, start + LOOKED_AT)
            near = np.unique(np.concatenate([reach.rows for _, reach in self._reach(rows_U[part])]))
            near_X = torch.from_numpy(near.astype(np.int64)).to(self._weights_N.device)
            gain = self._exact.gains(rows_U[part], self._covered_N, self._weights_N, near_X)
            gains_U[part] = self._gain_N[rows_U[part]] = gain
            covered = float(self._weights_N[near_X] @ self._covered_N[near_X])
            self._error_N[rows_U[part]] = self._exact.error * (gain + covered)
        if gains_U.max() <= self._nothing:
            return int(np.argmax(self._open_N))
        return int(rows_U[gains_U >= gains_U.max() * (1 - TIE)].min())

    def _look_again(self, rows_U: Rows) -> None:
        """Recompute the gains of rows, from what they reach."""
        weights_N, covered_N = _on_host(self._weights_N), _on_host(self._covered_N)
        for row, reach in self._reach(rows_U):
            self._gain_N[row], total = reach.gain_and_total(weights_N, covered_N)
            self._error_N[row] = self._kernel.error * total
            self._reaches.hold(row, reach.left(covered_N, 1 + 2 * self._kernel.error))
        self._seen_N[rows_U] = self._picks
        self._new_N[rows_U] = False

    def _together(self) -> int:
        """Candidates that are multiplied together: the fewer picks, the more rows each reaches."""
        reached = len(self._gain_N) // (self._picks + 1) + 1
        return max(1, min(MULTIPLIED, REACHED // reached))

    def _reach(self, rows_U: Rows) -> Iterator[tuple[int, Reach]]:
        """Each of some rows, in any order, with what it reaches, and perhaps no longer does.

        The products are made while the caller asks: all that many rows reach would be most of the
        memory.
        """
        held = [(row, self._reaches.get(row)) for row in rows_U.tolist()]
        new_U = np.array([row for row, reach in held if reach is None], dtype=np.int64)
        yield from ((row, reach) for row, reach in held if reach is not None)
        del held
        together = self._together()
        for start in range(0, len(new_U), together):
            part = new_U[start : start + together]
            for row, found in zip(
                part.tolist(), self._kernel.reaches(part, self._covered_N), strict=True
            ):
                yield row, Reach(*found)

    def _cover(self, row: int) -> None:
        """Let a chosen row cover what it reaches, in float64."""
        ((_, reach),) = self._reach(np.array([row]))
        at_X = torch.from_numpy(reach.rows.astype(np.int64)).to(self._weights_N.device)
        kernel_X = self._exact.column(row, at_X)
        kernel_X[at_X == row] = 1.0
        self._covered_N[at_X] = torch.maximum(self._covered_N[at_X], kernel_X)
        self._picks += 1


def _on_host(tensor_N: Tensor) -> NDArray[np.float64]:
    """The same numbers, the same memory where the tensor is on the CPU."""
    host: NDArray[np.float64] = tensor_N.cpu().numpy()
    return host

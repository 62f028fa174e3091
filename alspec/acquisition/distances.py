"""Squared distances of rows to their nearest centre: bounds by matrix products, and themselves.

R = rows, C = centres, D = feature channels, P = pairs of a row and a centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.int64]
Squared = NDArray[np.float64]

CENTRES = 512
"""Centres in a matrix product, after which a row may already be out of question."""

PAIRS = 1024
"""Differences of a row and a centre that are held at a time."""


@dataclass(frozen=True, slots=True)
class Points:
    """Rows, shifted towards the origin, with their squared lengths."""

    points_RD: Tensor
    norms_R: Tensor

    def only(self, at: Rows) -> Points:
        """Some of the rows, different ones."""
        if len(at) == len(self.norms_R):
            return self
        which = torch.from_numpy(at).to(self.norms_R.device)
        return Points(self.points_RD[which], self.norms_R[which])


class Distances:
    """Distances of the rows of features to a list of centres that grows by rows of the features.

    The distance itself is the float64 sum of the squared differences. A bound is x^2 - 2xc + c^2,
    which costs one matrix product, give or take what rounding can do to both. With the unit
    roundoff u, a = |x - s|, b = |c - s| for a shift s near the features, and a sum of n products
    wrong by n u times the sum of their sizes in whatever order it is added (Higham, Accuracy and
    Stability of Numerical Algorithms, section 3.1; terms in u^2 are left to the slack):

    - the differences themselves: (D + 2) u |x - c|^2, at most (2D + 4) u (a^2 + b^2);
    - the shift moves x by u a and c by u b: at most 4 u (a^2 + b^2);
    - the three sums of products: D u (a^2 + 2ab + b^2), at most 2D u (a^2 + b^2);
    - adding the three and the bound: at most 8 u (a^2 + b^2).

    Together at most (4D + 16) u (a^2 + b^2), of which (4D + 64) u is taken. What products lose in
    underflow is below the least normal number each.
    """

    def __init__(
        self, features_ND: Tensor, centres_MD: Tensor, n: int, dtype: torch.dtype | None = None
    ) -> None:
        """Bounds are in float32 where that is sound and faster, unless a type is given."""
        self._features_ND, self._centres_MD = features_ND, centres_MD
        self._chosen: list[int] = []
        self._n = n
        self._dtype = dtype or _precision(features_ND, centres_MD)
        # Shifted before it is rounded, so that the error is one of the difference.
        self._wide = torch.promote_types(features_ND.dtype, self._dtype)
        self.count = len(centres_MD)
        channels, precision = features_ND.shape[1], torch.finfo(self._dtype)
        self._relative = (4 * channels + 64) * precision.eps / 2
        self._absolute = (16 * channels + 64) * precision.tiny
        some_SD = features_ND[:: max(1, len(features_ND) // 256)]
        self._shift_D = some_SD.to(self._wide).median(dim=0).values
        self._points_CD = features_ND.new_empty((self.count + n, channels), dtype=self._dtype)
        self._points_CD[: self.count] = self._shifted(centres_MD.clone())
        self._norms_C = self._points_CD.new_zeros(self.count + n)
        self._errors_C = self._norms_C.clone()
        self._measured = 0

    @property
    def finest(self) -> bool:
        """Whether the bounds are in float64."""
        return self._dtype == torch.float64

    def in_float64(self) -> Distances:
        """The same distances with closer bounds."""
        finer = Distances(self._features_ND, self._centres_MD, self._n, torch.float64)
        for row in self._chosen:
            finer.add_centre(row, finer.points(np.array([row])), 0)
        return finer

    def points(self, rows_R: Rows) -> Points:
        """Rows of the features."""
        points_RD = self._shifted(self._features_ND[self._index(rows_R)])
        return Points(points_RD, _norms(points_RD))

    def add_centre(self, row: int, points: Points, at: int) -> None:
        """Make a row of the features the last centre; it is number `at` of the points."""
        self._points_CD[self.count] = points.points_RD[at]
        self._chosen.append(row)
        self.count += 1

    def bounds(self, points: Points, start: int, stop: int) -> tuple[Squared, Squared]:
        """Upper (R,) and lower (R,) bounds of the distance to the nearest of some centres.

        Where numbers are too large, the upper bound is infinite and the lower bound 0.
        """
        bound_RC = self._products(points, start, stop)
        upper_R = bound_RC.amin(dim=1)
        upper_R += (1 + self._relative) * points.norms_R + self._absolute
        bound_RC -= self._errors_C[start:stop]
        lower_R = bound_RC.amin(dim=1)
        lower_R += (1 - self._relative) * points.norms_R - self._absolute
        return _sound(torch.stack((upper_R, lower_R)))

    def among(self, points: Points) -> tuple[Squared, Squared]:
        """Upper (R, R) and lower (R, R) bounds of the distances of rows to one another."""
        points_RD, norms_R = points.points_RD, points.norms_R
        products_RR = points_RD @ points_RD.T
        sums_RR = norms_R[:, None] + norms_R
        upper_RR = (1 + self._relative) * sums_RR + self._absolute
        lower_RR = (1 - self._relative) * sums_RR - self._absolute
        return _sound(torch.stack((upper_RR, lower_RR)).sub_(products_RR, alpha=2))

    def likely(self, points: Points) -> Rows:
        """The centres that are likely the nearest of rows, (R,)."""
        least_R = torch.full_like(points.norms_R, torch.inf)
        likely_R = torch.zeros_like(least_R, dtype=torch.int64)
        for start in range(0, self.count, CENTRES):
            stop = min(start + CENTRES, self.count)
            here_R, at_R = self._products(points, start, stop).min(dim=1)
            likely_R = torch.where(here_R < least_R, at_R + start, likely_R)
            least_R = torch.minimum(here_R, least_R)
        rows: Rows = likely_R.cpu().numpy()
        return rows

    def nearest(self, rows_R: Rows) -> Squared:
        """The distances of rows to their nearest centres, (R,)."""
        points = self.points(rows_R)
        lower_RC = self._products(points, 0, self.count)
        lower_RC -= self._errors_C[: self.count]
        lower_RC += ((1 - self._relative) * points.norms_R - self._absolute)[:, None]
        likely_R = lower_RC.argmin(dim=1, keepdim=True)
        nearest_R = self._differences(rows_R, likely_R[:, 0].cpu().numpy())
        lower_RC.clamp_min_(0).scatter_(1, likely_R, torch.inf)
        # Not `lower < nearest`: what is NaN may be nearer.
        closer_RC = ~(lower_RC >= torch.from_numpy(nearest_R).to(lower_RC.device)[:, None])
        at_P, centre_P = closer_RC.nonzero().cpu().numpy().T
        for start in range(0, len(at_P), PAIRS):
            part = slice(start, start + PAIRS)
            squared_P = self._differences(rows_R[at_P[part]], centre_P[part])
            np.minimum.at(nearest_R, at_P[part], squared_P)
        return nearest_R

    def _products(self, points: Points, start: int, stop: int) -> Tensor:
        """Upper bounds for pairs, less what depends on the row alone, (R, C)."""
        if self._measured < self.count:
            self._measure(slice(self._measured, self.count))
            self._measured = self.count
        centres_CD, norms_C = self._points_CD[start:stop], self._norms_C[start:stop]
        return torch.addmm(norms_C, points.points_RD, centres_CD.T, alpha=-2)

    def _measure(self, at: slice) -> None:
        """The squared lengths of some centres, as upper bounds, and how wrong they may be."""
        norms_C = _norms(self._points_CD[at])
        self._norms_C[at] = (1 + self._relative) * norms_C
        self._errors_C[at] = 2 * self._relative * norms_C

    def _differences(self, rows_P: Rows, centre_P: Rows) -> Squared:
        """Squared distances of pairs by their differences, (P,); on the host, on any device."""
        labelled = len(self._centres_MD)
        chosen_P = centre_P >= labelled
        difference_PD = self._exact(self._features_ND, rows_P)
        difference_PD[~chosen_P] -= self._exact(self._centres_MD, centre_P[~chosen_P])
        rows_of_chosen = np.array(self._chosen, dtype=np.int64)
        at = rows_of_chosen[centre_P[chosen_P] - labelled]
        difference_PD[chosen_P] -= self._exact(self._features_ND, at)
        with np.errstate(over="ignore"):
            squared_P: Squared = np.einsum("pd,pd->p", difference_PD, difference_PD)
        return squared_P

    def _exact(self, array_ND: Tensor, rows_P: Rows) -> NDArray[np.float64]:
        exact: NDArray[np.float64] = array_ND[self._index(rows_P)].double().cpu().numpy()
        return exact

    def _shifted(self, copied_RD: Tensor) -> Tensor:
        """Rows as points; where their type allows it, the memory they are given in is taken."""
        return copied_RD.to(self._wide).sub_(self._shift_D).to(self._dtype)

    def _index(self, rows_R: Rows) -> Tensor:
        return torch.from_numpy(rows_R).to(self._features_ND.device)


def _sound(bounds: Tensor) -> tuple[Squared, Squared]:
    """Upper and lower bounds, stacked; infinite and 0 where numbers were too large."""
    upper, lower = bounds.cpu().numpy()
    return np.where(upper >= 0, upper, np.inf), np.fmax(lower, 0)


def _norms(points_RD: Tensor) -> Tensor:
    """Squared lengths, (R,)."""
    norms_R: Tensor = torch.linalg.vector_norm(points_RD, dim=1)
    return norms_R.square()


def _precision(features_ND: Tensor, centres_MD: Tensor) -> torch.dtype:
    """Float32 on a processor if products are whole and neither overflow nor vanish there."""
    sizes = [
        abs(float(end))
        for part in (features_ND, centres_MD)
        if part.numel()
        for end in part.aminmax()
    ]
    sound = (
        features_ND.device.type == "cpu"
        and torch.get_float32_matmul_precision() == "highest"
        and 1e-10 < max(sizes, default=0) < 1e15
        and features_ND.shape[1] < 1 << 16
    )
    return torch.float32 if sound else torch.float64

"""Runs of near-copies, rows beside one another as frames are: what one distance says of others.

N = rows, D = feature channels, R = rows looked at together.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alspec.acquisition.distances import Rows, Squared

LONGEST = 32
"""Rows in a run."""

CLOSE = 0.5
"""Rows closer than this share of the usual distance of two rows are near-copies."""

SAMPLE = 512
"""Rows that the usual distance is taken from."""

CHANNELS = 128
"""Channels by which near-copies are found; that a bound is one does not rest on it."""

TOGETHER = 512
"""Rows whose differences are held at a time, so that they stay in the cache."""


class Runs:
    """Rows in runs of near-copies, and how far each is from the first of its run at most.

    By the triangle inequality a row is no farther from any centre than that first row is, and the
    distance between the two. A row without near-copies beside it is a run of its own.

    Attributes:
        first: the first rows of runs of several rows.
    """

    def __init__(self, features_ND: Tensor) -> None:
        self._features_ND = features_ND
        rows_N = np.arange(len(features_ND))
        some_NC = features_ND[:, :CHANNELS]
        sample_SC = some_NC[:: max(1, len(rows_N) // SAMPLE)]
        zeros_S = np.zeros(len(sample_SC), dtype=np.int64)
        usual = np.median(_distances(sample_SC, sample_SC, zeros_S))
        alike_N = _distances(some_NC, some_NC, np.maximum(rows_N - 1, 0)) < CLOSE * usual
        alike_N[:1] = False
        begin_N = np.maximum.accumulate(np.where(alike_N, 0, rows_N))
        self._first_N = rows_N - (rows_N - begin_N) % LONGEST
        follow = self._first_N != rows_N
        self._apart_N = np.zeros(len(rows_N))
        if follow.any():
            self._apart_N = _distances(features_ND, features_ND, self._first_N)
        self.first: Rows = np.unique(self._first_N[follow])

    def bounds(self, centres_MD: Tensor, nearest_F: Rows) -> Squared:
        """Upper bounds of all squared distances to the nearest centre, (N,).

        A row is compared with one centre, the nearest of the first row of its run: near-copies have
        the same one, or one as near. A row that is no near-copy is compared with any.

        Args:
            centres_MD: at least one.
            nearest_F: of each of `first` the centre that is likely its nearest.
        """
        centre_N = np.zeros(len(self._first_N), dtype=np.int64)
        centre_N[self.first] = nearest_F
        distance_N = _distances(self._features_ND, centres_MD, centre_N[self._first_N])
        return _squared(distance_N)

    def beside(self, row: int) -> tuple[slice, Squared]:
        """The rows of a row's run, and upper bounds of their squared distances to it."""
        first = self._first_N[row]
        run = slice(first, int(np.searchsorted(self._first_N, first, side="right")))
        return run, _squared(self._apart_N[run] + self._apart_N[row])


def _squared(distance: Squared) -> Squared:
    """Squares of distances, or of sums of two, rounded up."""
    squared: Squared = np.square(distance) * (1 + 1e-12)
    return squared


def _distances(points_ND: Tensor, others_MD: Tensor, other_N: Rows) -> Squared:
    """Upper bounds of the distance of each point to one of the others, (N,).

    A difference is wrong by a unit roundoff of it, and the root of a sum of D squares by D + 2 of
    them at most (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1); squares that
    underflow lose less than the least normal number each.
    """
    count, channels = points_ND.shape
    dtype = torch.promote_types(
        torch.promote_types(points_ND.dtype, others_MD.dtype), torch.float32
    )
    precision = torch.finfo(dtype)
    distance_N = np.empty(count)
    others = torch.from_numpy(other_N).to(points_ND.device)
    for start in range(0, count, TOGETHER):
        part = slice(start, start + TOGETHER)
        difference_RD = torch.sub(points_ND[part].to(dtype), others_MD[others[part]].to(dtype))
        norms_R = torch.linalg.vector_norm(difference_RD, dim=1)
        distance_N[part] = norms_R.cpu().numpy()
    largest: Squared = (1 + (channels + 16) * precision.eps) * distance_N
    largest += float(np.sqrt(channels * precision.tiny))
    largest[np.isnan(largest)] = np.inf
    return largest

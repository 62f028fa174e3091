"""Which small images are near-copies of one another, and how many distinct views they show.

N = images, D = values of one. Nothing of size N x N is stored: an image with few near-copies keeps
their list, one with many is compared again when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = (0.6, 0.7, 0.8)
"""Correlations from which two images count as near-copies; the middle one is the meter's."""

BLOCK = 512
"""Images compared with all others at a time."""

LISTED = 40_000_000
"""Near-copies that are listed in all; 5 bytes each."""

Progress = Callable[[int, int], None]


def correlated(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Thumbnails as unit vectors whose products are correlations, (N, D).

    The brightness of each and the mean thumbnail of all are taken away first: what any two frames
    of one camera share, sky above and road below, counts for nothing. Images that are the mean
    itself correlate with one another alone.

    Args:
        thumbnails: (N, h, w, 3) RGB.
    """
    count = len(thumbnails)
    raw_NPC = thumbnails.reshape(count, -1, 3).astype(np.float32)
    own_ND: NDArray[np.float32] = (raw_NPC - raw_NPC.mean(axis=1, keepdims=True)).reshape(count, -1)
    own_ND -= own_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
    lengths_N = np.linalg.norm(own_ND, axis=1)
    blank_N = lengths_N < 1e-3
    own_ND /= np.where(blank_N, 1, lengths_N)[:, None]
    own_ND[blank_N] = 0
    if blank_N.any():
        own_ND = np.concatenate([own_ND, blank_N[:, None].astype(np.float32)], axis=1)
    return own_ND


@dataclass(frozen=True)
class NearCopies:
    """The near-copies of every image, itself included.

    Attributes:
        own_ND: unit vectors.
        counts_NT: how many each image has at each threshold.
        lists: for images with few, the others' rows and how many thresholds they reach.
        elsewhere_N: which images have one of another sequence, at the middle threshold.
    """

    own_ND: NDArray[np.float32]
    counts_NT: NDArray[np.int64]
    lists: dict[int, tuple[NDArray[np.int32], NDArray[np.uint8]]]
    elsewhere_N: NDArray[np.bool_]

    def of(self, row: int, level: int, among_N: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Rows of the near-copies of one image at a threshold, some rows alone."""
        if row in self.lists:
            rows, levels = self.lists[row]
            return rows[(levels > level) & among_N[rows]]
        rows = np.flatnonzero(among_N).astype(np.int32)
        found: NDArray[np.int32] = rows[self.own_ND[rows] @ self.own_ND[row] >= THRESHOLDS[level]]
        return found


def near_copies(
    own_ND: NDArray[np.float32], sequences: Sequence[str], progress: Progress | None = None
) -> NearCopies:
    """Compare all images with all others, a block at a time.

    Args:
        own_ND: as `correlated` gives them.
        sequences: N names.
        progress: called with images done and images in all.
    """
    count = len(own_ND)
    _, sequence_N = np.unique(np.asarray(sequences), return_inverse=True)
    counts_NT = np.zeros((count, len(THRESHOLDS)), dtype=np.int64)
    elsewhere_N = np.zeros(count, dtype=bool)
    lists: dict[int, tuple[NDArray[np.int32], NDArray[np.uint8]]] = {}
    most = LISTED // max(count, 1)
    for start in range(0, count, BLOCK):
        part = slice(start, min(start + BLOCK, count))
        products_BN = own_ND[part] @ own_ND.T
        within = np.arange(part.start, part.stop)
        products_BN[within - start, within] = 2.0  # whatever rounding says, its own copy
        at_B, rows = np.nonzero(products_BN >= THRESHOLDS[0])
        values = products_BN[at_B, rows]
        levels = np.searchsorted(THRESHOLDS, values, side="right").astype(np.uint8)
        for level in range(len(THRESHOLDS)):
            counts_NT[part, level] = np.bincount(at_B[levels > level], minlength=len(within))
        other = (levels > 1) & (sequence_N[rows] != sequence_N[at_B + start])
        elsewhere_N[start + at_B[other]] = True
        ends = np.cumsum(np.bincount(at_B, minlength=len(within)))
        starts = np.concatenate([[0], ends[:-1]])
        for row, first, last in zip(within.tolist(), starts.tolist(), ends.tolist(), strict=True):
            if 1 < last - first <= most:
                lists[row] = rows[first:last].astype(np.int32), levels[first:last]
        if progress:
            progress(part.stop, count)
    return NearCopies(own_ND, counts_NT, lists, elsewhere_N)


def distinct_views(copies: NearCopies, level: int) -> int:
    """How many images it takes, chosen greedily, for each image to be a near-copy of one of them.

    The image with the most near-copies not yet covered comes first, the lowest row of equal ones;
    greedy cover is within a factor 1 + log of the largest cover of the fewest there can be.

    Args:
        copies: of all images.
        level: which of `THRESHOLDS`.
    """
    bound_N = copies.counts_NT[:, level].copy()
    left_N = np.ones(len(bound_N), dtype=bool)
    views = 0
    while True:
        row = int(bound_N.argmax()) if len(bound_N) else 0
        if not len(bound_N) or bound_N[row] <= 1:
            return views + int(left_N.sum())  # each of these covers itself alone
        covered = copies.of(row, level, left_N)
        if len(covered) < bound_N[row]:  # an old count: others come first, maybe
            bound_N[row] = len(covered)
            continue
        left_N[covered] = False
        bound_N[row] = 0
        views += 1

"""How redundant a pool is, measured on its images: the share of frames with a near-copy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import Dataset, Frame
from alspec.datasets.files.decoding import resize

NEAR_COPY = 0.7
"""Correlation from which two neighbours count as near-copies."""
HIGH_SHARE = 0.5
"""Share of frames with a near-copy from which a pool counts as redundant (level `high`)."""

_FEWEST = 20
_SIDE = 16
_RUN = 12


def measured_redundancy(
    dataset: Dataset, frames: Sequence[Frame]
) -> tuple[float | None, str | None]:
    """The near-copy share of a pool and its level, `low` or `high`; None for a pool too small.

    Args:
        dataset: where a sample of the images is read.
        frames: the pool, in time order inside each sequence.

    Raises:
        DataError: an image cannot be read.
    """
    if len(frames) < _FEWEST:
        return None, None
    share = near_copy_share(*thumbnails(dataset, frames))
    return share, "high" if share >= HIGH_SHARE else "low"


def near_copy_share(
    thumbnails: NDArray[np.uint8], sequences: Sequence[str], threshold: float = NEAR_COPY
) -> float:
    """The share of frames whose neighbour in time is a near-copy.

    Two frames are near-copies when their thumbnails correlate once the brightness of each and the
    mean thumbnail of all are taken away: what any two frames of one driving dataset share, sky
    above and road below, counts for nothing. 1 means dense video, 0 that no two neighbours show
    the same place. Below 20 frames the mean is too uncertain for the share to say much.

    The default threshold was set on real and on drawn video, with thumbnails of 16 x 16:
    CamVid's 367 training frames, one a second, give 0.75; every 2nd of them 0.49, every 5th 0.29,
    every 15th 0.08, every 50th 0, and all of them in random order 0.03. `toy` gives 1.00, every
    5th frame 0.7 to 0.9, every 20th 0 to 0.2. A share of `HIGH_SHARE` or more is redundancy `high`.

    Args:
        thumbnails: (N, h, w, 3) RGB, in time order inside each sequence.
        sequences: N names; frames side by side under one name are neighbours.
        threshold: correlation in [-1, 1].

    Returns:
        Share in [0, 1]; NaN without frames.
    """
    frames = len(thumbnails)
    if frames == 0:
        return float("nan")
    raw = thumbnails.reshape(frames, -1, 3).astype(np.float64)
    colours = (raw - raw.mean(axis=1, keepdims=True)).reshape(frames, -1)
    own = colours - colours.mean(axis=0)
    own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-9)
    alike = np.sum(own[1:] * own[:-1], axis=1) >= threshold
    # Where all frames are the same, nothing is left to correlate.
    alike |= (thumbnails[1:] == thumbnails[:-1]).all(axis=(1, 2, 3))
    names = np.asarray(sequences)
    alike &= names[1:] == names[:-1]
    near = np.zeros(frames, bool)
    near[1:] |= alike
    near[:-1] |= alike
    return float(near.mean())


def thumbnails(
    dataset: Dataset, frames: Sequence[Frame], limit: int = 600
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Small pictures of a pool, and names under which only neighbours in time stand side by side.

    Args:
        dataset: where the images are read.
        frames: a pool, in time order inside each sequence.
        limit: about how many images are read; of a larger pool evenly spaced runs of neighbours.

    Returns:
        (N, 16, 16, 3) RGB and N names, the arguments of `near_copy_share`.

    Raises:
        DataError: an image cannot be read.
    """
    runs = _runs(frames, limit)
    pixels = np.zeros((sum(len(run) for _, run in runs), _SIDE, _SIDE, 3), np.uint8)
    seen = (frame for _, run in runs for frame in run)
    for place, frame in enumerate(seen):
        pixels[place] = resize(dataset.read_image(frame.id), (_SIDE, _SIDE))
    return pixels, tuple(name for name, run in runs for _ in run)


def _runs(frames: Sequence[Frame], limit: int) -> list[tuple[str, list[Frame]]]:
    """Whole sequences, or evenly spaced runs of them, each under a name of its own."""
    sequences: dict[str, list[Frame]] = {}
    for frame in frames:
        sequences.setdefault(frame.sequence, []).append(frame)
    if len(frames) <= limit:
        return list(sequences.items())
    runs = [
        (f"{name}#{start}", members[start : start + _RUN])
        for name, members in sequences.items()
        for start in range(0, len(members), _RUN)
    ]
    count = max(1, len(runs) * limit // len(frames))
    return [runs[place] for place in np.linspace(0, len(runs) - 1, count).round().astype(int)]

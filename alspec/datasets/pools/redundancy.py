"""How redundant a pool is, measured on its images: how many distinct views they show."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import Frame, ImageId
from alspec.datasets.files.decoding import pillow_resize
from alspec.datasets.pools.near_copies import (
    THRESHOLDS,
    correlated,
    distinct_views,
    near_copies,
)

HIGH = 0.40
"""Distinct views an image up to which a pool is redundant (level `high`)."""

LOW = 0.55
"""Distinct views an image from which it is diverse (level `low`); between them it is `unsure`."""

FEWEST = 20
"""Images below which the mean of all is too uncertain for any level."""

SIDE = 16
"""Height and width of a thumbnail."""

_MOST_READERS = 8

Progress = Callable[[int, int], None]


class ReadsImages(Protocol):
    """What the meter asks of a dataset."""

    def read_image(self, name: ImageId) -> NDArray[np.uint8]:
        """An image, (H, W, 3) RGB."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """The redundancy of a pool.

    Attributes:
        images: in the pool, N.
        distinct_views: images it takes, chosen greedily, for each to be a near-copy of one, V.
        views_at: V / N where images count as near-copies from a lower and a higher correlation
            on, 0.6 and 0.8 in place of 0.7.
        neighbours: fraction of images with a near-copy before or after them in time.
        anywhere: fraction with a near-copy anywhere in the pool.
        across_sequences: fraction with one in another sequence; None for a single sequence.
    """

    images: int
    distinct_views: int
    views_at: tuple[float, float]
    neighbours: float
    anywhere: float
    across_sequences: float | None

    @property
    def views_per_image(self) -> float:
        """V / N, within (0, 1]: 1 where no image is a near-copy of another."""
        return self.distinct_views / max(self.images, 1)

    @property
    def level(self) -> Literal["high", "low", "unsure"]:
        """Of redundancy: high, low, or unsure."""
        if self.images < FEWEST or HIGH < self.views_per_image < LOW:
            return "unsure"
        return "high" if self.views_per_image <= HIGH else "low"

    def in_words(self) -> str:
        """The measurement in a sentence or two."""
        across = (
            ""
            if self.across_sequences is None
            else f", {_percent(self.across_sequences)} in another sequence"
        )
        return (
            f"{self.distinct_views:,} distinct views in {self.images:,} images, "
            f"{self.views_per_image:.2f} an image ({self.views_at[0]:.2f} to "
            f"{self.views_at[1]:.2f} for correlations of {THRESHOLDS[0]} to {THRESHOLDS[-1]}). "
            f"{_percent(self.neighbours)} of the images have a near-copy next to them in time, "
            f"{_percent(self.anywhere)} anywhere{across}."
        )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def measured_redundancy(
    dataset: ReadsImages, frames: Sequence[Frame], progress: Progress | None = None
) -> Measured:
    """Read every image of a pool once, and measure how redundant it is.

    Args:
        dataset: where the images are read, several at a time.
        frames: the pool, in time order inside each sequence.
        progress: called with images read and images in all.

    Raises:
        DataError: an image cannot be read.
    """
    return measure(thumbnails(dataset, frames, progress), frames)


def measure(pixels: NDArray[np.uint8], frames: Sequence[Frame]) -> Measured:
    """The same of thumbnails.

    The order of the frames decides who is next to whom in time; the distinct views depend on the
    ids alone, which break ties.

    Args:
        pixels: (N, h, w, 3) RGB.
        frames: N.
    """
    count = len(frames)
    if not count:
        return Measured(0, 0, (0.0, 0.0), 0.0, 0.0, None)
    own_ND = correlated(pixels)
    sequences = np.asarray([frame.sequence for frame in frames])
    neighbours = _with_neighbour(own_ND, sequences).mean()
    by_id = np.array(sorted(range(count), key=lambda row: frames[row].id))
    own_ND, sequences = own_ND[by_id], sequences[by_id]
    copies = near_copies(own_ND, sequences.tolist())
    lower, views, higher = (distinct_views(copies, level) for level in range(len(THRESHOLDS)))
    several = len(set(sequences.tolist())) > 1
    return Measured(
        images=count,
        distinct_views=views,
        views_at=(lower / count, higher / count),
        neighbours=float(neighbours),
        anywhere=float((copies.counts_NT[:, 1] > 1).mean()),
        across_sequences=float(copies.elsewhere_N.mean()) if several else None,
    )


def _with_neighbour(own_ND: NDArray[np.float32], sequences: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Which images have a near-copy before or after them in their sequence."""
    alike = np.einsum("nd,nd->n", own_ND[1:], own_ND[:-1]) >= THRESHOLDS[1]
    alike &= sequences[1:] == sequences[:-1]
    near_N = np.zeros(len(own_ND), dtype=bool)
    near_N[1:] |= alike
    near_N[:-1] |= alike
    return near_N


def thumbnails(
    dataset: ReadsImages, frames: Sequence[Frame], progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Every frame at 16 x 16, (N, 16, 16, 3) RGB; read in threads, one in memory at a time.

    Raises:
        DataError: an image cannot be read.
    """
    pixels = np.zeros((len(frames), SIDE, SIDE, 3), np.uint8)

    def read(row: int) -> None:
        pixels[row] = pillow_resize(dataset.read_image(frames[row].id), (SIDE, SIDE))

    readers = min(_MOST_READERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(readers) as threads:
        try:
            for done, _ in enumerate(threads.map(read, range(len(frames))), start=1):
                if progress:
                    progress(done, len(frames))
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise
    return pixels

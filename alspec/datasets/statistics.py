"""What a dataset holds: counts, sizes, sequences, the share of each class, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import Dataset, Split
from alspec.datasets.image_facts import TreeReader
from alspec.errors import DataError, Problem


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """A split as read.

    Attributes:
        images: files that pair.
        sequences: videos they belong to.
        sizes: (height, width) to images of that size.
        pixels: of each class id and, last, ignored ones, (C + 1,), over all masks.
    """

    images: int
    sequences: int
    sizes: Mapping[tuple[int, int], int]
    pixels: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Pixels of each class as a fraction of those that count, (C,); NaN where none counts."""
        counted = self.pixels[:-1]
        with np.errstate(invalid="ignore"):
            shares: NDArray[np.float64] = counted / counted.sum()
            return shares

    @property
    def ignored(self) -> float:
        """Ignored pixels as a fraction of all; NaN without pixels."""
        total = int(self.pixels.sum())
        return float(self.pixels[-1]) / total if total else float("nan")


@dataclass(frozen=True, slots=True)
class Survey:
    """A dataset as read.

    Attributes:
        classes: names, by class id.
        splits: those that could be listed.
        problems: everything that is wrong.
    """

    classes: tuple[str, ...]
    splits: Mapping[Split, SplitFacts]
    problems: tuple[Problem, ...]


def survey(dataset: Dataset, progress: Callable[[int], None]) -> Survey:
    """Read every image and mask of a dataset once.

    Args:
        dataset: what is read.
        progress: called with the images read so far.
    """
    problems: list[Problem] = []
    splits: dict[Split, SplitFacts] = {}
    reader = TreeReader(dataset)
    images = 0

    def read() -> None:
        nonlocal images
        images += 1
        progress(images)

    for split in Split:
        try:
            frames = dataset.frames(split)
        except DataError as err:
            problems += [problem for problem in err.problems if problem not in problems]
            continue
        facts, found = reader.read(split, read)
        problems += found
        sizes = Counter((height, width) for height, width in facts.sizes.tolist() if height)
        splits[split] = SplitFacts(
            images=len(frames),
            sequences=len({frame.sequence for frame in frames}),
            sizes=sizes,
            pixels=facts.pixels.sum(axis=0),
        )
    return Survey(dataset.classes, splits, tuple(problems))

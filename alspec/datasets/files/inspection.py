"""Reads an image and its mask once: sizes, classes seen, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import IGNORE, Dataset, ImageId
from alspec.errors import DataError, Problem

_READERS = 4


@dataclass(frozen=True, slots=True)
class Inspection:
    """One image as read.

    Attributes:
        size: height and width; None for an image that cannot be read.
        pixels: of each mask value, (256,); None for a mask that cannot be read.
        problems: what is wrong.
    """

    size: tuple[int, int] | None
    pixels: NDArray[np.int64] | None
    problems: tuple[Problem, ...]


def inspect_all(
    dataset: Dataset, images: Sequence[ImageId], mask_place: Callable[[ImageId], str] = str
) -> Iterator[Inspection]:
    """Read images and masks in several threads; what is found comes in the order of the images.

    Args:
        dataset: what reads them.
        images: ids of the dataset.
        mask_place: where an image's mask lies, for messages.
    """

    def inspect(image: ImageId) -> Inspection:
        problems: list[Problem] = []
        size, pixels = None, None
        try:
            height, width = dataset.read_image(image).shape[:2]
            size = (height, width)
        except DataError as err:
            problems += err.problems
        try:
            mask = dataset.read_mask(image)
            pixels = np.bincount(mask.ravel(), minlength=IGNORE + 1)
            if size is not None and mask.shape != size:
                problems.append(_unlike(mask_place(image), image, size, mask.shape))
        except DataError as err:
            problems += err.problems
        return Inspection(size, pixels, tuple(problems))

    readers = ThreadPoolExecutor(_READERS, thread_name_prefix="check")
    try:
        yield from readers.map(inspect, images)
    finally:
        readers.shutdown(cancel_futures=True)


def _unlike(
    place: str, image: ImageId, size: tuple[int, int], mask_size: tuple[int, ...]
) -> Problem:
    (height, width), (tall, wide) = size, mask_size
    what = (
        f"the mask is {tall}x{wide} (height x width), its image {image} is {height}x{width}; "
        "a mask has a value for each pixel of its image"
    )
    return Problem(place, what)

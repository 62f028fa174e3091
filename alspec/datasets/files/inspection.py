"""Reads an image and its mask once: size, classes, a thumbnail, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from alspec.datasets.base import IGNORE, Dataset, ImageId
from alspec.datasets.files.contents import ListedFile, sha256_of_file
from alspec.datasets.files.decoding import pillow_resize, plain_jpeg_size
from alspec.datasets.files.jpeg_decoder import JpegDecoder
from alspec.errors import DataError, Problem

THUMBNAIL = (16, 16)
"""Height and width of the small copies that near-copies are looked for in."""

_READERS = 4
_DAMAGED = (
    "libjpeg decodes it with lost data ({}), so parts of the image are grey or shifted; restore or "
    "remove it"
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """One image as read.

    Attributes:
        size: height and width; None for an image that cannot be read.
        pixels: of each mask value, (256,); None for a mask that cannot be read.
        thumbnail: the image at `THUMBNAIL`, RGB; None for an image that cannot be read.
        problems: what is wrong.
        digests: SHA-256 of image and mask file; None where they have none, or cannot be read.
    """

    size: tuple[int, int] | None
    pixels: NDArray[np.int64] | None
    thumbnail: NDArray[np.uint8] | None
    problems: tuple[Problem, ...]
    digests: tuple[bytes, bytes] | None = None


def inspect_all(dataset: Dataset, images: Sequence[ImageId]) -> Iterator[Inspection]:
    """Read images and masks in several threads; what is found comes in the order of the images.

    Args:
        dataset: what reads them.
        images: ids of the dataset.
    """
    readers = ThreadPoolExecutor(_READERS, thread_name_prefix="check")
    with JpegDecoder(THUMBNAIL) as jpegs:
        try:
            yield from readers.map(partial(_inspect, dataset, jpegs), images)
        finally:
            readers.shutdown(cancel_futures=True)


def _inspect(dataset: Dataset, jpegs: JpegDecoder, image: ImageId) -> Inspection:
    problems: list[Problem] = []
    size, pixels, thumbnail, digest = None, None, None, None
    files_of = getattr(dataset, "files_of", None)
    files: tuple[ListedFile, ...] = files_of(image) if files_of else ()
    try:
        decoded = jpegs.decode(files[0].path) if files else None
        if decoded and decoded.flawless and _shows_as_decoded(dataset, files[0].path, decoded.size):
            size, thumbnail, digest = decoded.size, decoded.thumbnail, decoded.sha256
        else:
            read = dataset.read_image(image)
            size = (read.shape[0], read.shape[1])
            thumbnail = pillow_resize(read, THUMBNAIL)
            if decoded and decoded.lost:
                problems.append(Problem(files[0].path, _DAMAGED.format(decoded.lost)))
    except DataError as err:
        problems += err.problems
    hashed = None
    try:
        mask = dataset.read_mask(image)
        pixels = _counts(mask)
        if size is not None and mask.shape != size:
            place: Callable[[ImageId], str] = getattr(dataset, "mask_place", str)
            problems.append(_unlike(place(image), image, size, mask.shape))
        if files and not problems:
            # Right after decoding, while the system still has the bytes in memory.
            hashed = digest or sha256_of_file(files[0].path), sha256_of_file(files[1].path)
    except DataError as err:
        problems += err.problems
    return Inspection(size, pixels, thumbnail, tuple(problems), hashed)


def _shows_as_decoded(dataset: Dataset, path: str, size: tuple[int, int]) -> bool:
    """Whether a dataset reads a JPEG as it is, and would refuse nothing of it."""
    return getattr(dataset, "reads_as_is", False) and plain_jpeg_size(path) == size


def _counts(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pixels of each value, (256,)."""
    if mask.dtype != np.uint8:  # a plugin's
        return np.bincount(mask.ravel(), minlength=IGNORE + 1)
    return np.array(PillowImage.fromarray(mask).histogram(), np.int64)


def _unlike(
    place: str, image: ImageId, size: tuple[int, int], mask_size: tuple[int, ...]
) -> Problem:
    (height, width), (tall, wide) = size, mask_size
    what = (
        f"the mask is {tall}x{wide} (height x width), its image {image} is {height}x{width}; "
        "a mask has a value for each pixel of its image"
    )
    return Problem(place, what)

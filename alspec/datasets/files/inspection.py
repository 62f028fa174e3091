"""Reads an image and its mask once: size, classes, a thumbnail, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from alspec.datasets.base import IGNORE, Image, Mask
from alspec.datasets.files.contents import sha256_of_file
from alspec.datasets.files.decoding import pillow_resize
from alspec.errors import DataError, Problem

if TYPE_CHECKING:
    from alspec.datasets.files.jpeg_decoder import DecodedJpeg

THUMBNAIL = (16, 16)
"""Height and width of the small copies that near-copies are looked for in."""

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


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image and its mask, to be read.

    Attributes:
        name: the image, for messages.
        read_image: gives it; raises DataError naming the file.
        read_mask: gives its mask; raises DataError naming the file.
        mask_place: where the mask lies, for messages.
        files: the paths of image and mask; None for a dataset without files.
        as_is: images are shown as their files are.
    """

    name: str
    read_image: Callable[[], Image]
    read_mask: Callable[[], Mask]
    mask_place: str
    files: tuple[str, str] | None
    as_is: bool = False


def inspect(
    labelled: Labelled, decode: Callable[[str], DecodedJpeg | None] = lambda _: None
) -> Inspection:
    """Read an image and its mask.

    Args:
        labelled: both.
        decode: of a `JpegDecoder`, in a process that has one: only there damage is heard of.
    """
    problems: list[Problem] = []
    size, pixels, thumbnail, digest = None, None, None, None
    try:
        decoded = decode(labelled.files[0]) if labelled.files else None
        if decoded and decoded.flawless and labelled.as_is:
            size, thumbnail, digest = decoded.size, decoded.thumbnail, decoded.sha256
        else:
            read = labelled.read_image()
            size = (read.shape[0], read.shape[1])
            thumbnail = pillow_resize(read, THUMBNAIL)
            if labelled.files and decoded and decoded.lost:
                problems.append(Problem(labelled.files[0], _DAMAGED.format(decoded.lost)))
    except DataError as err:
        problems += err.problems
    hashed = None
    try:
        mask = labelled.read_mask()
        pixels = _counts(mask)
        if size is not None and mask.shape != size:
            problems.append(_unlike(labelled, size, mask.shape))
        if labelled.files and not problems:
            # Right after decoding, while the system still has the bytes in memory.
            of_image, of_mask = labelled.files
            hashed = digest or sha256_of_file(of_image), sha256_of_file(of_mask)
    except DataError as err:
        problems += err.problems
    return Inspection(size, pixels, thumbnail, tuple(problems), hashed)


def _counts(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pixels of each value, (256,)."""
    if mask.dtype != np.uint8:  # a plugin's
        return np.bincount(mask.ravel(), minlength=IGNORE + 1)
    return np.array(PillowImage.fromarray(mask).histogram(), np.int64)


def _unlike(labelled: Labelled, size: tuple[int, int], mask_size: tuple[int, ...]) -> Problem:
    (height, width), (tall, wide) = size, mask_size
    what = (
        f"the mask is {tall}x{wide} (height x width), its image {labelled.name} is "
        f"{height}x{width}; a mask has a value for each pixel of its image"
    )
    return Problem(labelled.mask_place, what)

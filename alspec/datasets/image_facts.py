"""What one pass over a split's files finds: sizes, pixels of each class, thumbnails."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import IGNORE, Dataset, ImageId, Split
from alspec.datasets.facts_cache import FactsCache
from alspec.datasets.files.contents import FileContents
from alspec.datasets.files.inspection import THUMBNAIL, Inspection
from alspec.datasets.files.inspectors import inspect_all
from alspec.datasets.files.paired import PairedFiles
from alspec.errors import DataError, Problem
from alspec.system.array_cache import ArrayCache

_NO_CACHE = ArrayCache()


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The images of a split as read, an item an image, in the split's order.

    Attributes:
        sizes: height and width, (N, 2); 0 for an image that cannot be read.
        pixels: of each class id and, last, ignored ones, (N, C + 1).
        thumbnails: (N, 16, 16, 3) RGB.
        digests: SHA-256 of image and mask file, one after the other; empty where a kind has none.
    """

    sizes: NDArray[np.int32]
    pixels: NDArray[np.int64]
    thumbnails: NDArray[np.uint8]
    digests: tuple[bytes, ...] = ()


class TreeReader:
    """Reads the images and masks of a dataset, each once for as long as nothing touches it.

    Args:
        dataset: what reads them.
        cache: where earlier processes saved facts and digests; nowhere if left out.
    """

    def __init__(self, dataset: Dataset, cache: ArrayCache = _NO_CACHE) -> None:
        self._dataset = dataset
        self._facts = FactsCache(cache, dataset)
        self._files = dataset if isinstance(dataset, PairedFiles) else None
        self._contents = FileContents(cache, self._files.root) if self._files else None

    def read(
        self, split: Split, read: Callable[[], None] = lambda: None
    ) -> tuple[ImageFacts, list[Problem]]:
        """The facts of a split, and what is wrong with its files.

        Args:
            split: which half.
            read: called after each image that had to be read.

        Raises:
            DataError: the split cannot be listed.
        """
        images = [frame.id for frame in self._dataset.frames(split)]
        keys = self._keys(split, images)
        found = [self._facts.get(key) if key else None for key in keys]
        missing = [row for row, inspection in enumerate(found) if inspection is None]
        problems: list[Problem] = []
        began = time.time()
        unread = [images[row] for row in missing]
        with closing(inspect_all(self._dataset, unread)) as inspected:
            for row, inspection in zip(missing, inspected, strict=True):
                found[row] = inspection
                problems += inspection.problems
                keys[row] = keys[row] or self._key_of(images[row], inspection, began)
                if not inspection.problems:
                    self._facts.put(keys[row], inspection)
                read()
        whole = [inspection for inspection in found if inspection is not None]
        return _stacked(whole, keys if self._files else (), len(self._dataset.classes)), problems

    def known(self, split: Split) -> ImageFacts | None:
        """The facts of a split as far as nothing has to be read; None where an image was not.

        A dataset without files draws its images anew.

        Raises:
            DataError: the split cannot be listed.
        """
        if self._files is None and self._dataset.spec.root is None:
            return self.read(split)[0]
        keys = self._keys(split, [frame.id for frame in self._dataset.frames(split)])
        found = [self._facts.get(key) if key else None for key in keys]
        whole = [inspection for inspection in found if inspection is not None]
        if len(whole) < len(found):
            return None
        return _stacked(whole, keys if self._files else (), len(self._dataset.classes))

    def save(self, cache: ArrayCache) -> None:
        """Cache what was read."""
        self._facts.save(cache)
        if self._contents:
            self._contents.save(cache)

    def _keys(self, split: Split, images: Sequence[ImageId]) -> list[bytes]:
        """What each image and its mask are; empty where that is yet to be read."""
        if self._files is None or self._contents is None:
            fingerprint = self._dataset.fingerprint(split)
            return [hashlib.sha256(f"{fingerprint}\0{image}".encode()).digest() for image in images]
        files = [file for pair in self._files.files(split) for file in pair]
        if not self._facts.is_empty:  # hashing what was touched may save reading it
            try:
                digests: Sequence[bytes] = self._contents.digests(files)
            except DataError:  # found again, with what else is wrong, when it is read
                return [b""] * len(images)
        else:
            digests = [self._contents.known(file) or b"" for file in files]
        return [
            image + mask if image and mask else b""
            for image, mask in zip(digests[::2], digests[1::2], strict=True)
        ]

    def _key_of(self, image: ImageId, found: Inspection, began: float) -> bytes:
        if self._files is None or self._contents is None or found.digests is None:
            return b""
        for file, digest in zip(self._files.files_of(image), found.digests, strict=True):
            self._contents.remember(file, digest, began)
        return b"".join(found.digests)


def _stacked(found: Sequence[Inspection], keys: Sequence[bytes], classes: int) -> ImageFacts:
    sizes = np.zeros((len(found), 2), np.int32)
    pixels = np.zeros((len(found), IGNORE + 1), np.int64)
    small = np.zeros((len(found), *THUMBNAIL, 3), np.uint8)
    for row, inspection in enumerate(found):
        if inspection.size is not None:
            sizes[row] = inspection.size
        if inspection.pixels is not None:
            pixels[row] = inspection.pixels
        if inspection.thumbnail is not None:
            small[row] = inspection.thumbnail
    counted = np.concatenate([pixels[:, :classes], pixels[:, IGNORE:]], axis=1)
    return ImageFacts(sizes, counted, small, tuple(keys))


def rows_of(images: Sequence[ImageId], chosen: Sequence[ImageId]) -> NDArray[np.int64]:
    """The rows of some images of a split; images that are not of it are left out."""
    row = {image: number for number, image in enumerate(images)}
    return np.array([row[image] for image in chosen if image in row], np.int64)

"""Where a step gets pixels from: files decoded once, cached on disk or in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import Dataset, ImageId
from alspec.datasets.files.resizing import resized, resized_mask
from alspec.models.input.image_cache import ImageCache
from alspec.models.input.prefetch import Prefetcher

CACHE_BYTES = 4 << 30

Wanted = tuple[str, ImageId]
"""The `image` or the `mask` of an image."""


@dataclass
class PixelSource:
    """A dataset's images and masks, decoded once: cached on disk, or in memory up to `CACHE_BYTES`.

    Images of sizes of their own stay in memory, as does what the disk does not take. Channels are
    stored one after another, as nets read them. Masks are read only when asked for: scoring an
    unlabelled image never touches its label.
    """

    dataset: Dataset
    size: tuple[int, int] | None
    """Height, width that everything is resized to; None leaves each image as it is."""
    cache: ImageCache | None = None
    """On disk; of images of this size."""
    readers: int = 0
    """Threads that decode ahead."""
    _cached: OrderedDict[Wanted, NDArray[np.uint8]] = field(default_factory=OrderedDict, repr=False)
    _bytes: int = 0
    _ahead: Prefetcher[Wanted, tuple[NDArray[np.uint8], bool]] | None = field(
        default=None, repr=False
    )

    def image(self, image: ImageId) -> NDArray[np.uint8]:
        """(H, W, 3) RGB, not to be written to; its channels lie one after another."""
        return self._found("image", image).transpose(1, 2, 0)

    def mask(self, image: ImageId) -> NDArray[np.uint8]:
        """(H, W) class ids and `IGNORE`, not to be written to."""
        return self._found("mask", image)

    @contextmanager
    def ahead(self, wanted: Iterable[Wanted]) -> Iterator[None]:
        """While the block runs, decode in threads what will be asked for, in that order.

        What is asked for is the same, whether it is wanted or not, and in whatever order.
        """
        if not self.readers or self._ahead:
            yield
            return
        with Prefetcher(self._decoded_and_put, wanted, self.readers, self._is_there) as self._ahead:
            try:
                yield
            finally:
                self._ahead = None

    def _is_there(self, wanted: Wanted) -> bool:
        return wanted in self._cached or (self.cache is not None and self.cache.has(*wanted))

    def _found(self, what: str, image: ImageId) -> NDArray[np.uint8]:
        made = self._ahead.take((what, image)) if self._ahead else None
        if made is None:
            cached = self._cached.get((what, image))
            if cached is not None:
                self._cached.move_to_end((what, image))
                return cached
            cached = self.cache.get(what, image) if self.cache else None
            if cached is not None:
                return cached
            made = self._decoded_and_put((what, image))
        pixels, is_on_disk = made
        if not is_on_disk:
            self._cache_pixels(what, image, pixels)
        return pixels

    def _decoded_and_put(self, wanted: Wanted) -> tuple[NDArray[np.uint8], bool]:
        """Decode, and keep on disk if that can be; whether it could."""
        pixels = self._decoded(*wanted)
        return pixels, bool(self.cache and self.cache.put(*wanted, pixels))

    def _decoded(self, what: str, image: ImageId) -> NDArray[np.uint8]:
        if what == "mask":
            mask = self.dataset.read_mask(image)
            return resized_mask(mask, self.size) if self.size else mask
        pixels = self.dataset.read_image(image)
        pixels = resized(pixels, self.size) if self.size else pixels
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _cache_pixels(self, what: str, image: ImageId, pixels: NDArray[np.uint8]) -> None:
        self._cached[what, image] = pixels
        self._bytes += pixels.nbytes
        while self._bytes > CACHE_BYTES:
            _, dropped = self._cached.popitem(last=False)
            self._bytes -= dropped.nbytes

"""Where a step gets pixels from: files decoded once, kept on disk or in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import Dataset, ImageId
from alspec.datasets.resizing import resized, resized_mask
from alspec.models.image_cache import ImageCache

CACHE_BYTES = 4 << 30


@dataclass
class Frames:
    """A dataset's images and masks, decoded once: kept on disk, or in memory up to `CACHE_BYTES`.

    Images of sizes of their own stay in memory, as does what the disk does not take. Channels are
    stored one after another, as nets read them. Masks are read only when asked for: scoring an
    unlabelled image never touches its label.
    """

    dataset: Dataset
    size: tuple[int, int] | None
    """Height, width that everything is resized to; None leaves each image as it is."""
    cache: ImageCache | None = None
    """On disk; of images of this size."""
    _kept: OrderedDict[tuple[str, ImageId], NDArray[np.uint8]] = field(
        default_factory=OrderedDict, repr=False
    )
    _bytes: int = 0

    def image(self, image: ImageId) -> NDArray[np.uint8]:
        """(H, W, 3) RGB, not to be written to; its channels lie one after another."""
        return self._found("image", image).transpose(1, 2, 0)

    def mask(self, image: ImageId) -> NDArray[np.uint8]:
        """(H, W) class ids and `IGNORE`, not to be written to."""
        return self._found("mask", image)

    def _found(self, what: str, image: ImageId) -> NDArray[np.uint8]:
        kept = self._kept.get((what, image))
        if kept is not None:
            self._kept.move_to_end((what, image))
            return kept
        kept = self.cache.get(what, image) if self.cache else None
        if kept is not None:
            return kept
        pixels = self._decoded(what, image)
        if not (self.cache and self.cache.put(what, image, pixels)):
            self._keep(what, image, pixels)
        return pixels

    def _decoded(self, what: str, image: ImageId) -> NDArray[np.uint8]:
        if what == "mask":
            mask = self.dataset.read_mask(image)
            return resized_mask(mask, self.size) if self.size else mask
        pixels = self.dataset.read_image(image)
        pixels = resized(pixels, self.size) if self.size else pixels
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _keep(self, what: str, image: ImageId, pixels: NDArray[np.uint8]) -> None:
        self._kept[what, image] = pixels
        self._bytes += pixels.nbytes
        while self._bytes > CACHE_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes

"""Logits at image size, whole or in blocks of pixels small enough to stay in a processor's cache.

B = images, C = classes, h, w = the decode head's own resolution, H, W = pixels of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK_VALUES = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Numbers in a block: a megabyte for a cache, enough to fill a GPU."""


def upsampled(logits_BChw: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """Logits (B, C, H, W) in float32, bilinear."""
    return F.interpolate(
        logits_BChw.float(), size=tuple(size), mode="bilinear", align_corners=align_corners
    )


@dataclass(frozen=True)
class Window:
    """Some rows of some images of a batch.

    Attributes:
        images: which of the batch.
        rows: which of the image.
        share: of the image's pixels.
    """

    images: slice
    rows: slice
    pixel_fraction: float


def windows(images: int, values: int, height: int, at_once: int) -> Iterator[Window]:
    """Windows over a batch: several images at once, or else some rows of one.

    Args:
        images: B.
        values: numbers in a row of an image, C W.
        height: H.
        at_once: numbers in a window, where a row has no more.
    """
    together = max(1, at_once // (values * height))
    rows = height if together > 1 else min(height, max(1, at_once // values))
    for image in range(0, images, together):
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            share = (bottom - top) / height
            yield Window(slice(image, min(image + together, images)), slice(top, bottom), share)


class Rows:
    """The rows of upsampled logits, made when asked for; equal to `upsampled` but for rounding."""

    def __init__(self, logits_BChw: Tensor, size: Sequence[int], align_corners: bool) -> None:
        self._shape = (*logits_BChw.shape[:2], *size)
        height, wanted = logits_BChw.shape[2], size[0]
        wide = (height, size[1])
        self._wide_BChW = upsampled(logits_BChw.contiguous(), wide, align_corners)
        device = logits_BChw.device
        positions = torch.arange(wanted, dtype=torch.float64, device=device)
        if align_corners:
            positions *= (height - 1) / max(1, wanted - 1)
        else:
            positions = ((positions + 0.5) * (height / wanted) - 0.5).clamp_min(0)
        self._above = positions.long().clamp_max(height - 1)
        self._below = (self._above + 1).clamp_max(height - 1)
        self._weight = (positions - self._above).float()[:, None]

    def windows(self) -> Iterator[Window]:
        """Windows that cover the batch."""
        images, classes, height, width = self._shape
        at_once = BLOCK_VALUES.get(self._wide_BChW.device.type, BLOCK_VALUES["cuda"])
        return windows(images, classes * width, height, at_once)

    def __getitem__(self, window: Window) -> Tensor:
        """Logits of a window, (images, C, rows, W)."""
        source = self._wide_BChW[window.images]
        above = source.index_select(2, self._above[window.rows])
        below = source.index_select(2, self._below[window.rows])
        return above.lerp_(below, self._weight[window.rows])


@dataclass(frozen=True)
class Block:
    """Some rows of some images of a batch, and what the model says of them.

    Attributes:
        window: which rows of which images.
        rows: of the images' logits.
        mirror_rows: gives those of their mirror images, mirrored back.
    """

    window: Window
    rows: Rows
    mirror_rows: Callable[[], Rows]

    @property
    def images(self) -> slice:
        """Which images of the batch."""
        return self.window.images

    @property
    def pixel_fraction(self) -> float:
        """The rows' share of an image's pixels."""
        return self.window.pixel_fraction

    @property
    def log_p_BCHW(self) -> Tensor:
        """Log-probabilities of these pixels."""
        return self.rows[self.window].log_softmax(dim=1)

    @property
    def log_p_mirror_BCHW(self) -> Tensor:
        """Log-probabilities of these pixels in the mirror images, mirrored back."""
        return self.mirror_rows()[self.window].log_softmax(dim=1)

"""Inference over whole images, or by windows that slide over them, as `test_cfg` of a config says.

B = images, C = classes, H, W = pixels of the image, h, w = the decode head's own resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from alspec.models.inference.decoding import Levels, decode
from alspec.models.inference.dropout_prefix import CachedPrefix
from alspec.models.inference.row_blocks import upsampled

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


@dataclass(frozen=True)
class Tile:
    """A window over an image, in pixels."""

    rows: slice
    columns: slice

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def tiles(size: Sequence[int], crop: Sequence[int], stride: Sequence[int]) -> list[Tile]:
    """MMSegmentation's windows (`slide_inference`), row by row; the last ones are moved back.

    Args:
        size: height and width of the image.
        crop: of a window; a smaller image is one window.
        stride: from one window to the next.
    """
    down, across = (
        [slice(max(end - side, 0), end) for end in _ends(length, side, step)]
        for length, side, step in zip(size, crop, stride, strict=True)
    )
    return [Tile(rows, columns) for rows in down for columns in across]


def _ends(length: int, side: int, step: int) -> Iterator[int]:
    for number in range(max(length - side + step - 1, 0) // step + 1):
        yield min(number * step + side, length)


@dataclass(frozen=True)
class Encoding:
    """What the encoder says of a batch.

    Attributes:
        tiles: the windows it was asked about; None for the whole images.
        levels: its output for each of them.
    """

    tiles: Sequence[Tile] | None
    levels: Sequence[Levels]

    def of_first(self, images: int) -> Encoding:
        """Of the first images alone."""
        return replace(self, levels=[_first(levels, images) for levels in self.levels])

    def in_parts(self) -> Iterator[Encoding]:
        """Each window's own, as if it were a whole image."""
        return (Encoding(None, [levels]) for levels in self.levels)


def _first(levels: Levels, images: int) -> Levels:
    return levels[:images] if isinstance(levels, Tensor) else [x[:images] for x in levels]


class Reader:
    """Runs encoder and decoder of a segmentor over a batch.

    Args:
        segmentor: an mmseg EncoderDecoder.
        size: height and width of the images.
        precision: gives the context that the network computes in.
    """

    def __init__(
        self,
        segmentor: EncoderDecoder,
        size: Sequence[int],
        precision: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._segmentor = segmentor
        self._size = size
        self._precision = precision
        config = getattr(segmentor, "test_cfg", None) or {}
        self._tiles: list[Tile] | None = None
        if config.get("mode") == "slide":
            self._tiles = tiles(size, config["crop_size"], config["stride"])

    def encoded(self, inputs: Tensor) -> Encoding:
        """The encoder's output for images (B, 3, H, W)."""
        parts = [inputs]
        if self._tiles is not None:
            parts = [inputs[..., tile.rows, tile.columns] for tile in self._tiles]
        with self._precision():
            levels = [self._segmentor.extract_feat(part) for part in parts]
        return Encoding(self._tiles, levels)

    def prefixes(self, encoding: Encoding) -> list[CachedPrefix]:
        """For `decoded` with dropout, again and again: of each window what comes before it."""
        return [CachedPrefix(self._segmentor.decode_head) for _ in encoding.levels]

    def decoded(self, encoding: Encoding, prefixes: Sequence[CachedPrefix] = ()) -> Tensor:
        """Logits (B, C, h, w) in float32.

        Windows give logits at image size: those of each at its own size, averaged where several
        lie on one another, as MMSegmentation does.
        """
        if encoding.tiles is None:
            (levels,) = encoding.levels
            return self._part(levels, self._size, *prefixes)
        total = count = torch.empty(0)
        for number, (tile, levels) in enumerate(zip(encoding.tiles, encoding.levels, strict=True)):
            part = self._part(levels, tile.size, *prefixes[number : number + 1])
            part = upsampled(part, tile.size, self._segmentor.align_corners)
            if not number:
                total = part.new_zeros((*part.shape[:2], *self._size))
                count = part.new_zeros((1, 1, *self._size))
            total[..., tile.rows, tile.columns] += part
            count[..., tile.rows, tile.columns] += 1
        return total / count

    def _part(self, levels: Levels, size: Sequence[int], *prefix: CachedPrefix) -> Tensor:
        with self._precision(), ExitStack() as stack:
            for cached in prefix:
                stack.enter_context(cached.reused())
            return decode(self._segmentor, levels, size).float()

"""Images and labels for the model: batches in an order that the seed decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from alspec.datasets.base import ImageId
from alspec.models.input.augmentation import Augmentation, Draw, moved
from alspec.models.input.photometric import as_tensor
from alspec.models.input.pixel_source import PixelSource, Wanted

__all__ = [
    "Augmentation",
    "Batch",
    "Batches",
    "FromPosition",
    "Order",
    "PixelSource",
    "Position",
    "Share",
    "in_batches",
]


@dataclass(frozen=True)
class Position:
    """The images of one batch and the seed of its augmentation."""

    images: tuple[ImageId, ...]
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Order:
    """Which images a batch holds: a pure function of its number, so any position can be resumed.

    An epoch is a permutation of the images; batches run on over its end, so every batch is full
    however few images there are.
    """

    images: tuple[ImageId, ...]
    batch_size: int
    seed: int

    def __getitem__(self, batch: int) -> Position:
        first = batch * self.batch_size
        places = range(first, first + self.batch_size)
        epochs = {place // len(self.images) for place in places}
        orders = {epoch: _permutation(self.seed, epoch, len(self.images)) for epoch in epochs}
        rows = [orders[place // len(self.images)][place % len(self.images)] for place in places]
        return Position(tuple(self.images[row] for row in rows), (self.seed, 1, batch))


@lru_cache(maxsize=8)  # the epochs that labelled and unlabelled batches are in
def _permutation(seed: int, epoch: int, images: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, 0, epoch)).permutation(images)


@dataclass(frozen=True)
class Share:
    """The part of every batch that one of several processes takes, the same number in each.

    Attributes:
        part: which, from 0.
        parts: how many, a divisor of the batch size.
    """

    part: int = 0
    parts: int = 1

    def rows(self, batch_size: int) -> range:
        """The images of a batch, by their place in it."""
        images = batch_size // self.parts
        return range(self.part * images, (self.part + 1) * images)


WHOLE = Share()


@dataclass(frozen=True)
class Batch:
    """Pixels of a batch: images (B, 3, H, W) uint8, labels (B, H, W) uint8.

    For unlabelled batches labels hold 0 where there is image and `IGNORE` where there is padding.
    Colours (B, 7) are still to be changed, where there are some: the device does it.
    """

    images: Tensor
    labels: Tensor
    colours: Tensor | None = None


class Batches(TorchDataset[Batch]):
    """Augmented batches by number, or a share of each: the same pixels, whoever makes them."""

    def __init__(
        self,
        frames: PixelSource,
        order: Order,
        augmentation: Augmentation,
        *,
        labelled: bool,
        share: Share = WHOLE,
    ) -> None:
        self.frames = frames
        self.order = order
        self.augmentation = augmentation
        self.labelled = labelled
        self.share = share

    @property
    def rows(self) -> range:
        """The images of a batch that are made here, by their place in it."""
        return self.share.rows(self.order.batch_size)

    def wanted(self, batch: int) -> Iterator[Wanted]:
        """What a batch is made of."""
        images = self.order[batch].images
        return wanted_of([images[row] for row in self.rows], with_masks=self.labelled)

    def __getitem__(self, batch: int) -> Batch:
        position = self.order[batch]
        rng = np.random.default_rng(position.seed)
        draws, images, masks = [], [], []
        rows = self.rows
        for row, image_id in enumerate(position.images):
            if row not in rows and self.frames.size:  # its draws come before those of later images
                self.augmentation.draw(self.frames.size, rng)
                continue
            image = self.frames.image(image_id)
            size = (image.shape[0], image.shape[1])
            draw = self.augmentation.draw(size, rng)
            if row not in rows:
                continue
            draws.append(draw)
            mask = self.frames.mask(image_id) if self.labelled else np.zeros(size, np.uint8)
            image, mask = moved(image, mask, draws[-1], self.augmentation.padding)
            images.append(image)
            masks.append(mask)
        return Batch(_stack_images(images), torch.from_numpy(np.stack(masks)), colours_of(draws))


def colours_of(draws: Sequence[Draw]) -> Tensor | None:
    """The colour changes of a batch, (B, 7); None without colour changes."""
    colours = [draw.colour for draw in draws if draw.colour]
    return as_tensor(colours) if colours else None


class FromPosition(Sampler[int]):
    """Batch numbers `start`, `start + 1`, ... up to `stop`."""

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def _stack_images(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    """(B, 3, H, W) of images (H, W, 3), whose channels lie one after another already."""
    return torch.from_numpy(np.stack([image.transpose(2, 0, 1) for image in images]))


def in_batches(
    frames: PixelSource, images: Sequence[ImageId], batch_size: int, *, with_masks: bool = False
) -> Iterator[tuple[tuple[ImageId, ...], Batch]]:
    """Whole images in the order given, for scoring and evaluation; nothing is augmented.

    A batch holds images of one size: where sizes differ from one image to the next, it is shorter.
    """
    chosen: list[ImageId] = []
    pixels: list[NDArray[np.uint8]] = []
    with frames.ahead(wanted_of(images, with_masks=with_masks)):
        for image in images:
            read = frames.image(image)
            if pixels and (len(pixels) == batch_size or read.shape != pixels[0].shape):
                yield tuple(chosen), _batch(frames, chosen, pixels, with_masks=with_masks)
                chosen, pixels = [], []
            chosen.append(image)
            pixels.append(read)
        if pixels:
            yield tuple(chosen), _batch(frames, chosen, pixels, with_masks=with_masks)


def wanted_of(images: Iterable[ImageId], *, with_masks: bool) -> Iterator[Wanted]:
    """What is read of images, in their order."""
    for image in images:
        yield "image", image
        if with_masks:
            yield "mask", image


def _batch(
    frames: PixelSource,
    images: Sequence[ImageId],
    pixels: Sequence[NDArray[np.uint8]],
    *,
    with_masks: bool,
) -> Batch:
    if not with_masks:
        return Batch(_stack_images(pixels), torch.zeros((0,), dtype=torch.uint8))
    labels = np.stack([frames.mask(image) for image in images])
    return Batch(_stack_images(pixels), torch.from_numpy(labels))

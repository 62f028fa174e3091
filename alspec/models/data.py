"""Images and labels for the model: decoded once, drawn in an order that the seed decides."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from alspec.datasets.base import IGNORE, Dataset, ImageId
from alspec.datasets.pixels import resize, resize_mask
from alspec.spec.model import Training

CACHE_BYTES = 4 << 30


@dataclass
class Frames:
    """A dataset's images and masks, kept in memory up to `CACHE_BYTES`.

    Masks are read only when asked for: scoring an unlabelled image never touches its label.
    """

    dataset: Dataset
    size: tuple[int, int] | None
    """Height, width that everything is resized to; None leaves each image as it is."""
    _kept: OrderedDict[tuple[str, ImageId], NDArray[np.uint8]] = field(
        default_factory=OrderedDict, repr=False
    )
    _bytes: int = 0

    def image(self, image: ImageId) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return self._cached("image", image)

    def mask(self, image: ImageId) -> NDArray[np.uint8]:
        """(H, W) class ids and `IGNORE`."""
        return self._cached("mask", image)

    def _cached(self, what: str, image: ImageId) -> NDArray[np.uint8]:
        kept = self._kept.get((what, image))
        if kept is not None:
            self._kept.move_to_end((what, image))
            return kept
        if what == "image":
            pixels = self.dataset.read_image(image)
            pixels = resize(pixels, self.size) if self.size else pixels
        else:
            pixels = self.dataset.read_mask(image)
            pixels = resize_mask(pixels, self.size) if self.size else pixels
        self._kept[what, image] = pixels
        self._bytes += pixels.nbytes
        while self._bytes > CACHE_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes
        return pixels


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
        orders = {epoch: self._permutation(epoch) for epoch in epochs}
        rows = [orders[place // len(self.images)][place % len(self.images)] for place in places]
        return Position(tuple(self.images[row] for row in rows), (self.seed, 1, batch))

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.images))


@dataclass(frozen=True)
class Augmentation:
    """Random scale, crop and horizontal flip, drawn from a generator (PAPER: training)."""

    crop: tuple[int, int] | None
    scale: tuple[float, float] | None
    flip: bool

    @classmethod
    def of(cls, training: Training) -> Augmentation:
        """What the spec asks for."""
        return cls(training.crop, training.scale, training.flip)

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """An augmented image (H, W, 3) and mask (H, W); padding is ignored pixels.

        Without a crop size, scaled images are cropped or padded to the size they came in.
        """
        crop = self.crop or (mask.shape[0], mask.shape[1])
        if self.scale:
            factor = rng.uniform(*self.scale)
            height, width = (max(1, round(side * factor)) for side in mask.shape)
            image, mask = resize(image, (height, width)), resize_mask(mask, (height, width))
        if self.crop or self.scale:
            image, mask = _cropped(image, mask, crop, rng)
        if self.flip and rng.integers(2):
            image, mask = image[:, ::-1], mask[:, ::-1]
        return image, mask


def _cropped(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    crop: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A random window; smaller images are padded at the right and below, with ignored pixels."""
    height, width = crop
    below, right = (max(0, need - have) for need, have in zip(crop, mask.shape, strict=True))
    if below or right:
        image = np.pad(image, ((0, below), (0, right), (0, 0)))
        mask = np.pad(mask, ((0, below), (0, right)), constant_values=IGNORE)
    top = int(rng.integers(mask.shape[0] - height + 1))
    left = int(rng.integers(mask.shape[1] - width + 1))
    window = np.s_[top : top + height, left : left + width]
    return image[window], mask[window]


@dataclass(frozen=True)
class Batch:
    """Pixels of a batch: images (B, 3, H, W) uint8, labels (B, H, W) uint8.

    For unlabelled batches labels hold 0 where there is image and `IGNORE` where there is padding.
    """

    images: Tensor
    labels: Tensor


class Batches(TorchDataset[Batch]):
    """Augmented batches by number."""

    def __init__(
        self, frames: Frames, order: Order, augmentation: Augmentation, *, labelled: bool
    ) -> None:
        self.frames = frames
        self.order = order
        self.augmentation = augmentation
        self.labelled = labelled

    def __getitem__(self, batch: int) -> Batch:
        position = self.order[batch]
        rng = np.random.default_rng(position.seed)
        images, masks = [], []
        for image_id in position.images:
            image = self.frames.image(image_id)
            mask = (
                self.frames.mask(image_id)
                if self.labelled
                else np.zeros(image.shape[:2], dtype=np.uint8)
            )
            image, mask = self.augmentation(image, mask, rng)
            images.append(image)
            masks.append(mask)
        return Batch(_stack_images(images), torch.from_numpy(np.stack(masks)))


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
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def in_batches(
    frames: Frames, images: Sequence[ImageId], batch_size: int, *, with_masks: bool = False
) -> Iterator[tuple[tuple[ImageId, ...], Batch]]:
    """Whole images in the order given, for scoring and evaluation; nothing is augmented.

    A batch holds images of one size: where sizes differ from one image to the next, it is shorter.
    """
    chosen: list[ImageId] = []
    pixels: list[NDArray[np.uint8]] = []
    for image in images:
        read = frames.image(image)
        if pixels and (len(pixels) == batch_size or read.shape != pixels[0].shape):
            yield tuple(chosen), _batch(frames, chosen, pixels, with_masks=with_masks)
            chosen, pixels = [], []
        chosen.append(image)
        pixels.append(read)
    if pixels:
        yield tuple(chosen), _batch(frames, chosen, pixels, with_masks=with_masks)


def _batch(
    frames: Frames,
    images: Sequence[ImageId],
    pixels: Sequence[NDArray[np.uint8]],
    *,
    with_masks: bool,
) -> Batch:
    if not with_masks:
        return Batch(_stack_images(pixels), torch.zeros((0,), dtype=torch.uint8))
    labels = np.stack([frames.mask(image) for image in images])
    return Batch(_stack_images(pixels), torch.from_numpy(labels))

"""Training images that lie on the device: crops and flips of a whole batch are one gather there.

N = images, B = images of a batch, H, W = pixels, h, w = pixels of the crop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from alspec.datasets.base import IGNORE, ImageId
from alspec.models.input.augmentation import Draw
from alspec.models.input.batches import Batch, Batches, colours_of

SHARE = 0.25
"""Of the device's free memory that images may take; the rest is for the training itself."""


def fits(sources: Sequence[Batches], device: torch.device) -> bool:
    """Whether all images and masks of a training have room on a GPU, and need no work before.

    On a CPU the mapped files are as near as memory gets. Random scale is done by OpenCV.
    """
    if device.type != "cuda":
        return False
    if any(source.frames.size is None or source.augmentation.scale for source in sources):
        return False
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return sum(bytes_of(source) for source in sources) <= SHARE * free


def bytes_of(source: Batches) -> int:
    """Bytes of the images, and of the masks of labelled ones."""
    height, width = source.frames.size or (0, 0)
    return len(set(source.order.images)) * height * width * (4 if source.labelled else 3)


class ResidentBatches(Batches):
    """The batches of a source, the same bytes, made on the device; an image is sent there once."""

    def __init__(self, source: Batches, device: torch.device) -> None:
        super().__init__(
            source.frames,
            source.order,
            source.augmentation,
            labelled=source.labelled,
            share=source.share,
        )
        assert source.frames.size  # noqa: S101 - `fits` has looked
        self._size = source.frames.size
        count = len(set(source.order.images))
        self._device = device
        self._images = torch.empty((count, 3, *self._size), dtype=torch.uint8, device=device)
        shape = (count if self.labelled else 0, *self._size)
        self._labels = torch.empty(shape, dtype=torch.uint8, device=device)
        self._row: dict[ImageId, int] = {}

    def __getitem__(self, batch: int) -> Batch:
        position = self.order[batch]
        rng = np.random.default_rng(position.seed)
        draws = [self.augmentation.draw(self._size, rng) for _ in position.images]
        draws = [draws[row] for row in self.rows]
        wanted = [position.images[row] for row in self.rows]
        self._send(wanted)
        rows = torch.tensor([self._row[image] for image in wanted])
        images, labels = self._gathered(rows, draws)
        return Batch(images, labels, colours_of(draws))

    def _send(self, images: Sequence[ImageId]) -> None:
        """Have images of a batch on the device that were not asked for before."""
        new = [image for image in dict.fromkeys(images) if image not in self._row]
        if not new:
            return
        rows = slice(len(self._row), len(self._row) + len(new))
        pixels = np.stack([self.frames.image(image).transpose(2, 0, 1) for image in new])
        self._images[rows] = torch.from_numpy(pixels).to(self._device)
        if self.labelled:
            masks = np.stack([self.frames.mask(image) for image in new])
            self._labels[rows] = torch.from_numpy(masks).to(self._device)
        self._row.update((image, rows.start + place) for place, image in enumerate(new))

    def _gathered(self, rows_B: Tensor, draws: Sequence[Draw]) -> tuple[Tensor, Tensor]:
        """Images (B, 3, h, w) and labels (B, h, w), each crop flipped or not, padding ignored."""
        ys_Bh, xs_Bw = _places(draws)
        height, width = self._size
        there_Bhw = (ys_Bh < height)[:, :, None] & (xs_Bw < width)[:, None, :]
        padded = not bool(there_Bhw.all())
        rows = self._sent(rows_B)[:, None, None]
        ys = self._sent(ys_Bh.clamp(max=height - 1))[:, :, None]
        xs = self._sent(xs_Bw.clamp(max=width - 1))[:, None, :]
        channels = torch.arange(3, device=self._device)[None, :, None, None]
        images = self._images[rows[:, None], channels, ys[:, None], xs[:, None]]
        labels = (
            self._labels[rows, ys, xs]
            if self.labelled
            else torch.zeros((len(draws), *draws[0].crop), dtype=torch.uint8, device=self._device)
        )
        if padded:
            there = self._sent(there_Bhw)
            colour = torch.tensor(self.augmentation.padding, dtype=torch.uint8)
            images = images.where(there[:, None], self._sent(colour)[None, :, None, None])
            labels = labels.masked_fill(~there, IGNORE)
        return images, labels

    def _sent(self, tensor: Tensor) -> Tensor:
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)


def _places(draws: Sequence[Draw]) -> tuple[Tensor, Tensor]:
    """Where each row (B, h) and each column (B, w) of the crops is read."""
    height, width = draws[0].crop
    tops = torch.tensor([draw.top for draw in draws])
    lefts = torch.tensor([draw.left for draw in draws])
    flips = torch.tensor([draw.flip for draw in draws])
    columns = torch.arange(width)
    columns = torch.where(flips[:, None], columns.flip(0), columns)
    return tops[:, None] + torch.arange(height), lefts[:, None] + columns

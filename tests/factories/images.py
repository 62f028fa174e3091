"""A dataset made up in memory, and the tiny segmentor that tests of the torch half share."""

from __future__ import annotations

from typing import Any

import numpy as np

from alspec.models.nets import compat  # isort: skip
import torch

from alspec.datasets.base import IGNORE, ImageId
from alspec.models.input.batches import PixelSource
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config

torch.set_num_threads(1)
assert compat


class MadeImages:
    """Images of noise over a few coloured stripes; counts what is read."""

    classes = ("road", "car", "sky")

    def __init__(self, size: tuple[int, int] = (32, 48), masks: bool = True) -> None:
        self.size = size
        self.masks = masks
        self.reads: list[tuple[str, str]] = []

    def read_image(self, image: ImageId) -> np.ndarray:
        self.reads.append(("image", image))
        rng = np.random.default_rng(int(image))
        noise = rng.integers(0, 60, (*self.size, 3), dtype=np.uint8)
        colours = np.array([[180, 20, 20], [20, 180, 20], [20, 20, 180], [0, 0, 0]], np.uint8)
        return noise + colours[np.where(self._labels(image) == IGNORE, 3, self._labels(image))]

    def read_mask(self, image: ImageId) -> np.ndarray:
        if not self.masks:
            raise AssertionError(f"the mask of {image} was read")
        self.reads.append(("mask", image))
        return self._labels(image)

    def _labels(self, image: ImageId) -> np.ndarray:
        columns = (np.arange(self.size[1]) * 3 // self.size[1] + int(image)) % 3
        labels = np.tile(columns.astype(np.uint8), (self.size[0], 1))
        labels[:4] = IGNORE
        return labels


def frames_of(size: tuple[int, int] = (32, 48), *, masks: bool = True) -> PixelSource:
    return PixelSource(MadeImages(size, masks), size)  # type: ignore[arg-type]


def ids(n: int, first: int = 0) -> list[ImageId]:
    return [ImageId(str(number)) for number in range(first, first + n)]


def images(n: int, size: tuple[int, int] = (32, 48)) -> torch.Tensor:
    """(n, 3, H, W) uint8."""
    made = MadeImages(size)
    stack = np.stack([made.read_image(image) for image in ids(n)])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()


def tiny(*, mc_dropout: bool = False, classes: int = 3, seed: int = 0) -> Any:
    """The smallest built-in segmentor, its weights far enough from zero to tell classes apart."""
    torch.manual_seed(seed)
    model = build_segmentor(model_config("deeplabv3plus_tiny", classes), mc_dropout=mc_dropout)
    head: Any = model.decode_head
    torch.nn.init.normal_(head.conv_seg.weight, std=1.0)
    return model.eval()

"""Random scale, crop, flip and colours of training images, drawn from a generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import IGNORE
from alspec.datasets.files.resizing import resized, resized_mask
from alspec.models.input.photometric import ColourDraw
from alspec.spec.model import Training


@dataclass(frozen=True, slots=True)
class Draw:
    """What happens to one image.

    Attributes:
        scaled: height, width it is resized to first; None leaves it.
        top: first row of the crop.
        left: first column of the crop.
        crop: height, width of the crop.
        flip: whether left and right change places.
        colour: how colours change; None leaves them.
    """

    scaled: tuple[int, int] | None
    top: int
    left: int
    crop: tuple[int, int]
    flip: bool
    colour: ColourDraw | None


@dataclass(frozen=True)
class Augmentation:
    """Random scale, crop and horizontal flip (paper, section 4), and colours where asked for."""

    crop: tuple[int, int] | None
    scale: tuple[float, float] | None
    flip: bool
    colour: bool = False

    @classmethod
    def of(cls, training: Training) -> Augmentation:
        """What the spec asks for."""
        return cls(training.crop, training.scale, training.flip, training.colour)

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> Draw:
        """What happens to an image of a size (height, width).

        Without a crop size, scaled images are cropped or padded to the size they came in.
        """
        crop, scaled, top, left = self.crop or size, None, 0, 0
        if self.scale:
            factor = rng.uniform(*self.scale)
            scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        if self.crop or self.scale:
            height, width = scaled or size
            top = int(rng.integers(max(height, crop[0]) - crop[0] + 1))
            left = int(rng.integers(max(width, crop[1]) - crop[1] + 1))
        flip = self.flip and bool(rng.integers(2))
        colour = ColourDraw.drawn(rng) if self.colour else None
        return Draw(scaled, top, left, crop, flip, colour)


def moved(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], draw: Draw
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image (H, W, 3) and its mask (H, W) scaled, cropped and flipped; colours stay.

    Smaller images are padded at the right and below before the flip, with ignored pixels.
    """
    if draw.scaled:
        image, mask = resized(image, draw.scaled), resized_mask(mask, draw.scaled)
    height, width = draw.crop
    below, right = (max(0, need - have) for need, have in zip(draw.crop, mask.shape, strict=True))
    if below or right:
        image = np.pad(image, ((0, below), (0, right), (0, 0)))
        mask = np.pad(mask, ((0, below), (0, right)), constant_values=IGNORE)
    window = np.s_[draw.top : draw.top + height, draw.left : draw.left + width]
    image, mask = image[window], mask[window]
    return (image[:, ::-1], mask[:, ::-1]) if draw.flip else (image, mask)

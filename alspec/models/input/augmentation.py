"""Random scale, crop, flip and colours of training images, from a random generator."""

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
    """Random scale, crop and horizontal flip (paper, section 4), and colours where asked for.

    Attributes:
        crop: height, width; None takes whole images.
        scale: lowest and highest factor; None leaves images at their size.
        flip: left and right change places in half of the images.
        colour: colours change at random.
        scale_step: between the factors that are sampled; None samples any.
        padding: RGB of what a crop has beyond its image.
    """

    crop: tuple[int, int] | None
    scale: tuple[float, float] | None
    flip: bool
    colour: bool = False
    scale_step: float | None = None
    padding: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def of(cls, training: Training, padding: tuple[int, int, int]) -> Augmentation:
        """What the spec asks for."""
        return cls(
            training.crop,
            training.scale,
            training.flip,
            training.colour,
            training.scale_step,
            padding,
        )

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> Draw:
        """What happens to an image of a size (height, width).

        Without a crop size, scaled images are cropped or padded to the size they came in.
        """
        crop, scaled, top, left = self.crop or size, None, 0, 0
        if self.scale:
            factor = self._factor(*self.scale, rng)
            scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        if self.crop or self.scale:
            height, width = scaled or size
            top = int(rng.integers(max(height, crop[0]) - crop[0] + 1))
            left = int(rng.integers(max(width, crop[1]) - crop[1] + 1))
        flip = self.flip and bool(rng.integers(2))
        colour = ColourDraw.sample(rng) if self.colour else None
        return Draw(scaled, top, left, crop, flip, colour)

    def _factor(self, lowest: float, highest: float, rng: np.random.Generator) -> float:
        if self.scale_step is None:
            return rng.uniform(lowest, highest)
        steps = int((highest - lowest) / self.scale_step + 1e-9)
        return lowest + self.scale_step * int(rng.integers(steps + 1))


def moved(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    draw: Draw,
    padding: tuple[int, int, int] = (0, 0, 0),
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image (H, W, 3) and its mask (H, W) scaled, cropped and flipped; colours stay.

    Smaller images are padded at the right and below before the flip, with ignored pixels of the
    colour `padding`.
    """
    if draw.scaled:
        image, mask = resized(image, draw.scaled), resized_mask(mask, draw.scaled)
    height, width = draw.crop
    below, right = (max(0, need - have) for need, have in zip(draw.crop, mask.shape, strict=True))
    if below or right:
        padded = np.empty((mask.shape[0] + below, mask.shape[1] + right, 3), np.uint8)
        padded[...] = padding
        padded[: mask.shape[0], : mask.shape[1]] = image
        image = padded
        mask = np.pad(mask, ((0, below), (0, right)), constant_values=IGNORE)
    window = np.s_[draw.top : draw.top + height, draw.left : draw.left + width]
    image, mask = image[window], mask[window]
    return (image[:, ::-1], mask[:, ::-1]) if draw.flip else (image, mask)

"""Duplicates of frames, cropped and recoloured from a seed: images of their own in a pool."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from alspec.datasets.base import Dataset, Frame, Image, ImageId, Mask, Split
from alspec.datasets.files.decoding import pillow_resize, pillow_resize_mask
from alspec.datasets.files.unchanged import WatchedFiles, watched
from alspec.errors import DataError, Problem
from alspec.spec.model import AugmentedFrames, DatasetSpec

GENERATOR = 1
"""Raised when the same spec gives other duplicates; part of the fingerprint."""

BRIGHTNESS = CONTRAST = SATURATION = (0.8, 1.2)
"""Lowest and highest factor; 1 changes nothing."""
HUE = (-0.05, 0.05)
"""Lowest and highest turn of the colours, as a fraction of the colour circle."""

_DUPLICATE = re.compile(r"(.+)#([1-9][0-9]*)", re.DOTALL)
_GREY = np.array((0.299, 0.587, 0.114))
_YIQ = np.array((_GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)))


def duplicates_of(frame: Frame, count: int) -> Iterator[Frame]:
    """The duplicates of a frame: `a.png#1`, `a.png#2`, ..., in the frame's own sequence."""
    for number in range(1, count + 1):
        yield Frame(ImageId(f"{frame.id}#{number}"), frame.sequence)


def original_of(image: ImageId) -> tuple[ImageId, int] | None:
    """The frame that a duplicate was made of and its number, from 1; None for other images."""
    found = _DUPLICATE.fullmatch(image)
    return (ImageId(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Change:
    """How a duplicate differs from its frame.

    Attributes:
        side: height and width of the crop, as fractions of the frame's.
        place: where the crop lies, 0 at the top or left, 1 at the bottom or right.
        brightness: factor on all channels.
        contrast: factor on the distance from the crop's mean grey.
        saturation: factor on the distance from grey.
        hue: turn of the colours as a fraction of the circle.
    """

    side: float
    place: tuple[float, float]
    brightness: float
    contrast: float
    saturation: float
    hue: float

    @classmethod
    def sample(cls, redundancy: AugmentedFrames, frame: ImageId, number: int) -> Change:
        """The change of a frame's duplicate; a pure function of the seed, the frame and the number.

        Brightness, contrast and saturation are uniform in 0.8 to 1.2, the hue turns by at most
        5 % of the circle (18 degrees), the crop is uniform over the frame.
        """
        words = np.frombuffer(hashlib.sha256(frame.encode()).digest(), "<u4").tolist()
        rng = np.random.default_rng((redundancy.seed, number, *words))
        top, left = rng.random(2).tolist()
        return cls(
            side=math.sqrt(redundancy.crop_area),
            place=(top, left),
            brightness=float(rng.uniform(*BRIGHTNESS)),
            contrast=float(rng.uniform(*CONTRAST)),
            saturation=float(rng.uniform(*SATURATION)),
            hue=float(rng.uniform(*HUE)),
        )

    def image(self, image: Image) -> Image:
        """The frame's pixels cropped, resized back and recoloured; (H, W, 3) like the frame."""
        cropped = pillow_resize(self._cropped(image), image.shape[:2])
        mean = float(cropped.reshape(-1, 3).mean(axis=0) @ _GREY)
        linear = self.brightness * self.contrast * self._turned()
        offset = self.brightness * (1 - self.contrast) * mean
        # Pillow's conversion gives the same bytes on any processor; a product of arrays may not.
        rows = tuple(value for row in linear.tolist() for value in (*row, offset))
        return np.array(PillowImage.fromarray(cropped).convert("RGB", rows))

    def mask(self, mask: Mask) -> Mask:
        """The frame's labels cropped in the same place and resized back; no new value appears."""
        return pillow_resize_mask(self._cropped(mask), mask.shape)

    def _cropped(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = (max(1, round(side * self.side)) for side in pixels.shape[:2])
        top, left = (
            round(share * (whole - part))
            for share, whole, part in zip(
                self.place, pixels.shape[:2], (height, width), strict=True
            )
        )
        return np.ascontiguousarray(pixels[top : top + height, left : left + width])

    def _turned(self) -> NDArray[np.float64]:
        """Saturation and hue as a matrix on RGB: YIQ's plane of colours, stretched and turned."""
        angle = 2 * math.pi * self.hue
        across, along = self.saturation * math.cos(angle), self.saturation * math.sin(angle)
        plane = np.array(((1, 0, 0), (0, across, -along), (0, along, across)))
        turned: NDArray[np.float64] = np.linalg.inv(_YIQ) @ plane @ _YIQ
        return turned


class Augmented:
    """A dataset that can also read duplicates of its frames; it lists none, a pool does."""

    kind: ClassVar[str] = "augmented"
    Spec: ClassVar[type[DatasetSpec]] = DatasetSpec

    def __init__(self, dataset: Dataset, redundancy: AugmentedFrames) -> None:
        self.spec = dataset.spec
        self._dataset = dataset
        self._redundancy = redundancy

    @property
    def original(self) -> Dataset:
        """The dataset without duplicates."""
        return self._dataset

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the class id."""
        return self._dataset.classes

    def frames(self, split: Split) -> tuple[Frame, ...]:
        """The frames of the dataset itself, in time order."""
        return self._dataset.frames(split)

    def fingerprint(self, split: Split) -> str:
        """SHA-256 of the split's files, and for the pool of how duplicates are made."""
        files = self._dataset.fingerprint(split)
        if split is Split.VAL:
            return files
        return hashlib.sha256(f"{files}\0augmented {GENERATOR}".encode()).hexdigest()

    def watch(self, split: Split) -> WatchedFiles | None:
        """Have the dataset watch the files of a split, if it has any."""
        return watched(self._dataset, split)

    def read_image(self, image: ImageId) -> Image:
        """A frame's image, or a duplicate's, (H, W, 3). Raises DataError naming the file."""
        made = self._made(image)
        if made is None:
            return self._dataset.read_image(image)
        original, change = made
        return change.image(self._dataset.read_image(original))

    def read_mask(self, image: ImageId) -> Mask:
        """A frame's labels, or a duplicate's, (H, W). Raises DataError naming the file."""
        made = self._made(image)
        if made is None:
            return self._dataset.read_mask(image)
        original, change = made
        return change.mask(self._dataset.read_mask(original))

    def check(self) -> Iterator[Sequence[Problem]]:
        """Read every file of the dataset; duplicates have no files of their own."""
        yield from self._dataset.check()

    def _made(self, image: ImageId) -> tuple[ImageId, Change] | None:
        found = original_of(image)
        if found is None:
            return None
        original, number = found
        if number > self._redundancy.duplicates:
            what = f"no image `{image}`: each frame has {self._redundancy.duplicates} duplicates"
            raise DataError.at(self.spec.name, what)
        return original, Change.sample(self._redundancy, original, number)

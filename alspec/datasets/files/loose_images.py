"""Any folder of images: no masks, no spec; the folder an image lies in is its sequence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import Frame, ImageId
from alspec.datasets.files.decoding import read_rgb
from alspec.datasets.files.listing import IMAGE_SUFFIXES, natural_order
from alspec.errors import InputError


@dataclass(frozen=True, slots=True)
class LooseImages:
    """The images below a folder.

    Attributes:
        folder: which.
    """

    folder: Path

    def frames(self) -> tuple[Frame, ...]:
        """All images, folder by folder, in the natural order of their names.

        Raises:
            InputError: it is no folder, or holds no image.
        """
        if not self.folder.is_dir():
            raise InputError.at("--images", f"{self.folder} is no folder; give one with images")
        found = sorted(
            (
                path.relative_to(self.folder).as_posix()
                for path in self.folder.rglob("*")
                if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
            ),
            key=lambda name: (natural_order(name.rpartition("/")[0]), natural_order(name)),
        )
        if not found:
            known = ", ".join(sorted(IMAGE_SUFFIXES))
            raise InputError.at("--images", f"{self.folder} holds no image ({known})")
        return tuple(Frame(ImageId(name), name.rpartition("/")[0]) for name in found)

    def read_image(self, name: ImageId) -> NDArray[np.uint8]:
        """An image, (H, W, 3) RGB. Raises DataError if it cannot be read."""
        return read_rgb(self.folder / name)

"""Images and masks at another size, the pixels that MMSegmentation's own pipeline has.

That pipeline decodes with OpenCV, alspec with Pillow, which finds damaged files. PNG cannot differ;
JPEG does not where both decode with libjpeg-turbo, as their wheels do (a test compares).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESIZING = 2
"""Raised when resizing gives other pixels; part of the keys of what is resized."""


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image (H, W, 3) at a size (height, width): OpenCV's bilinear, which mmcv resizes with.

    It does not average where it shrinks, so fine detail may alias, as it does in MMSegmentation.
    """
    if image.shape[:2] == size:
        return image
    import cv2

    height, width = size
    scaled = cv2.resize(
        np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(scaled, np.uint8)


def resized_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask (H, W) at a size (height, width): OpenCV's nearest pixel, so no new value appears."""
    if mask.shape == size:
        return mask
    import cv2

    height, width = size
    scaled = cv2.resize(
        np.ascontiguousarray(mask), (width, height), interpolation=cv2.INTER_NEAREST
    )
    return np.asarray(scaled, np.uint8)

"""Mask files of a delivery to class ids: by value, or by listed colour."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping

import numpy as np
from PIL import Image as PillowImage

from alspec.datasets.base import IGNORE, Mask
from alspec.datasets.files.palette import Colour, classes_of_colours
from alspec.labelling.delivery.base import Expectation

FORMATS = ("PNG", "BMP", "TIFF")
BLACK = (0, 0, 0)


def mask_of(
    data: bytes,
    size: tuple[int, int],
    expected: Expectation,
    colours: Mapping[Colour, int],
    *,
    values: bool,
) -> Mask:
    """The class ids in a mask file, (H, W).

    Args:
        data: the file.
        size: height, width that it must have; looked at before anything is unpacked.
        expected: the project's classes.
        colours: class of each colour; black is unlabelled unless it is among them.
        values: grey values, and the indices of a palette without these colours, are class ids.

    Raises:
        ValueError: it is not such a mask, in words.
    """
    pixels, shown = _decoded(data, size)
    known = {BLACK: expected.unlabelled, **colours}
    if shown is not None:
        mask, foreign = classes_of_colours(shown, known)
        if not foreign:
            return mask
        if pixels is None or not values:
            more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
            listed = ", ".join(foreign[:5])
            raise ValueError(f"its colours {listed}{more} belong to no class of the project")
    if pixels is None or not values:
        raise ValueError("it is grey; this format has colours")
    return _by_value(pixels, expected)


def _by_value(pixels: Mask, expected: Expectation) -> Mask:
    mask = np.where(pixels == IGNORE, expected.unlabelled, pixels).astype(np.uint8)
    foreign = np.unique(mask[(mask >= len(expected.classes)) & (mask != IGNORE)])
    if len(foreign):
        shown = ", ".join(map(str, foreign[:5]))
        last = len(expected.classes) - 1
        raise ValueError(f"its values {shown} belong to no class; classes are 0 to {last}")
    return mask


def _decoded(data: bytes, size: tuple[int, int]) -> tuple[Mask | None, Mask | None]:
    """Values (H, W) where it has one channel, and colours (H, W, 3) where it has those."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PillowImage.open(io.BytesIO(data), formats=FORMATS) as image:
                if (image.height, image.width) != size:
                    raise ValueError(
                        f"it is {image.width}x{image.height}, its image {size[1]}x{size[0]} pixels"
                    )
                image.load()
                if image.mode in ("L", "1"):
                    return np.array(image).astype(np.uint8), None
                if image.mode == "P":
                    return np.array(image), np.array(image.convert("RGB"))
                if image.mode in ("RGB", "RGBA"):
                    return None, np.array(image.convert("RGB"))
                raise ValueError(f"its pixels are of mode {image.mode}; save it as 8-bit PNG")
    except ValueError:
        raise
    except Exception as err:
        raise ValueError(f"it is no mask that can be read ({type(err).__name__})") from err

"""Mask files of a delivery to class ids: by value, or by listed colour."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from alspec.datasets.base import IGNORE, Mask
from alspec.datasets.files.decoding import Labels
from alspec.datasets.files.label_maps import LARGEST
from alspec.datasets.files.palette import BLACK, Colour, classes_of_colours

FORMATS = ("PNG", "BMP", "TIFF")


class Pixels(NamedTuple):
    """A mask file as it was drawn.

    Attributes:
        values: (H, W), of a file with one channel or a palette; None for one with colours.
        shown: its colours, (H, W, 3); None for a grey one.
        palette: its colours by value; empty without a palette.
    """

    values: Labels | None
    shown: Mask | None = None
    palette: tuple[Colour, ...] = ()


def by_colour(pixels: Pixels, colours: Mapping[Colour, int], unlabelled: int) -> Mask:
    """The class ids (H, W) of colours; black is unlabelled unless it is among them.

    Raises:
        ValueError: it is grey, or has other colours, in words.
    """
    if pixels.shown is None:
        raise ValueError("it is grey; this format has colours")
    mask, foreign = classes_of_colours(pixels.shown, {BLACK: unlabelled, **colours})
    if foreign:
        more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
        listed = ", ".join(foreign[:5])
        raise ValueError(f"its colours {listed}{more} belong to no class of the project")
    return mask


def by_value(values: Labels, class_ids: Mapping[int, int]) -> Mask:
    """The class ids (H, W) of values. Raises ValueError for one that is not among them."""
    if foreign := sorted(values_in(values) - class_ids.keys()):
        shown, known = (", ".join(map(str, some)) for some in (foreign[:5], sorted(class_ids)[:32]))
        raise ValueError(f"its values {shown} belong to no class; known are {known}")
    table = np.full(int(values.max(initial=0)) + 1, IGNORE, np.uint8)
    for value, class_id in class_ids.items():
        if value < len(table):
            table[value] = class_id
    mask: Mask = table[values]
    return mask


def values_in(values: Labels) -> set[int]:
    """The different values, within 0 and 65535."""
    return set(np.flatnonzero(np.bincount(values.ravel())).tolist())


def decoded(data: bytes, size: tuple[int, int]) -> Pixels:
    """The pixels of a mask file.

    Args:
        data: the file.
        size: height, width that it must have; looked at before anything is unpacked.

    Raises:
        ValueError: it is not such a mask, in words.
    """
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
                    return Pixels(np.array(image).astype(np.uint8))
                if image.mode == "P":
                    bands = image.getpalette() or []
                    palette = tuple(zip(bands[::3], bands[1::3], bands[2::3], strict=False))
                    return Pixels(np.array(image), np.array(image.convert("RGB")), palette)
                if image.mode in ("RGB", "RGBA"):
                    return Pixels(None, np.array(image.convert("RGB")))
                if image.mode.startswith("I"):
                    return Pixels(_of_16_bits(np.array(image)))
                raise ValueError(f"its pixels are of mode {image.mode}; save it as 8-bit PNG")
    except ValueError:
        raise
    except Exception as err:
        raise ValueError(f"it is no mask that can be read ({type(err).__name__})") from err


def _of_16_bits(values: NDArray[np.generic]) -> NDArray[np.uint16]:
    """Deep grey values, which the project's own masks may have."""
    if values.min() < 0 or values.max() > LARGEST:
        raise ValueError(f"its values go beyond 0 to {LARGEST}")
    return values.astype(np.uint16)

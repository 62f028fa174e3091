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
    *colours: Mapping[Colour, int],
    values: bool,
) -> Mask:
    """The class ids in a mask file, (H, W).

    Args:
        data: the file.
        size: height, width that it must have; looked at before anything is unpacked.
        expected: the project's classes.
        colours: class of each colour, in one or several tables, of which the first that names all
            of the file's counts; black is unlabelled unless it is among them.
        values: grey values, and the indices of a palette without these colours, are the project's
            own values, or else class ids.

    Raises:
        ValueError: it is not such a mask, in words.
    """
    pixels, shown = _decoded(data, size)
    if shown is not None:
        foreign: list[str] = []
        for table in colours:
            mask, foreign = classes_of_colours(shown, {BLACK: expected.unlabelled, **table})
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
    """Class ids of values: all are the project's own, or all are class ids and 255."""
    found = set(np.flatnonzero(np.bincount(pixels.ravel())).tolist())
    ids = {number: number for number in range(len(expected.classes))}
    for table in (expected.values, ids | {IGNORE: IGNORE}):
        if found <= table.keys():
            classes = np.array([table.get(value, IGNORE) for value in range(256)], np.uint8)
            if classes[IGNORE] == IGNORE:
                classes[IGNORE] = expected.unlabelled
            mask: Mask = classes[pixels]
            return mask
    known = sorted(expected.values.keys() or ids.keys())
    foreign = ", ".join(map(str, sorted(found - set(known) - {IGNORE})[:5]))
    listed = ", ".join(map(str, known[:32]))
    raise ValueError(f"its values {foreign or IGNORE} belong to no class; the project's: {listed}")


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
